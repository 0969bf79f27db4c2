package check

import (
	"fmt"
	"strconv"
	"time"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// checkTime checks an instant or a date: its form, and that it exists.
func checkTime(v string, s *shape.Shape, p finding.Path) findings {
	if _, err := time.Parse(time.RFC3339Nano, v); err == nil {
		return nil
	}
	if _, err := time.Parse(time.DateOnly, v); err == nil && s.Kind == shape.Date {
		return nil
	}
	w := finding.Newf("invalid-time", p, finding.AtValue, "%s is not a time as ISO 8601 writes it: %q", p.Name(), v)
	w.Help = "write it as in " + shape.TimeExamples(s)
	m := timeForm().FindStringSubmatch(v)
	switch {
	case v == "":
		w.Recode("empty-value")
		w.Message = p.Name() + " must not be empty"
	case m == nil:
	case outOfRange(m) != "":
		w.Message = fmt.Sprintf("%s is a time that does not exist: %q", p.Name(), v)
		w.Help = outOfRange(m)
	case m[4] == "":
		w.Message = fmt.Sprintf("%s needs the time of day, got a date only: %q", p.Name(), v)
	case m[7] == "":
		w.Message = fmt.Sprintf("%s has no time zone: %q", p.Name(), v)
		w.Help = "add Z for UTC, or an offset such as +01:00"
	}
	return findings{w}
}

// timeForm takes apart a date, with or without a time of day and a zone.
var timeForm = finding.Pattern(`^(\d{4})-(\d{2})-(\d{2})` +
	`(?:T(\d{2}):(\d{2})(?::(\d{2})(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$`)

// outOfRange says which part of a time does not exist, "" if all do.
func outOfRange(m []string) string {
	n := make([]int, 7)
	for i := 1; i < len(n); i++ {
		n[i], _ = strconv.Atoi(m[i])
	}
	year, month, day := n[1], n[2], n[3]
	switch {
	case month < 1 || month > 12:
		return "months go from 01 to 12"
	case day < 1 || day > daysIn(year, month):
		return fmt.Sprintf("%s %d has %d days", time.Month(month), year, daysIn(year, month))
	case n[4] > 23:
		return "hours go from 00 to 23"
	case n[5] > 59:
		return "minutes go from 00 to 59"
	case n[6] > 59:
		return "seconds go from 00 to 59"
	}
	return ""
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}
