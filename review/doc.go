// Package review shows plans to the people who review them: as text for a terminal, as
// Markdown for a pull request, as one HTML page, and as JSON for programs.
//
//	err := review.Text(os.Stdout, plan, review.TextOptions{Width: 100})
//
// A plan is data, and so is how it is shown: [New] makes a [Review] of it, with each change
// broken down into facts and fields. What the formats have in common is decided there: that
// a string which holds JSON is compared inside, that long text is compared by its lines or
// words, and where two strings differ that look the same. The formats lay it out.
package review
