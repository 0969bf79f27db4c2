// Package review formats plans for the people who review them: as text for a terminal,
// as Markdown for a pull request, as one HTML page, and as JSON for programs.
//
//	err := review.Text(os.Stdout, plan, review.TextOptions{Width: 100})
//
// A plan is data, and so is its presentation: [New] makes a [Review] from it, which breaks
// each change down into facts and fields. The review decides everything that the formats
// share: it compares the JSON inside strings, compares long text by lines or words, and
// finds the differences of strings that look alike. The formats only lay it out.
package review
