package check

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/seguehq/segue/compiler/finding"
	"github.com/seguehq/segue/compiler/shape"
)

// checkTime checks an instant or a date: its form, and that it exists. An instant needs a
// zone: Segment's spec asks for it, and does not save a trait without one
// (https://segment.com/docs/connections/spec/common/#timestamps). Segment takes an instant
// without a zone or a time of day, and one with a space for the T: these are warnings.
func checkTime(v string, s *shape.Shape, p finding.Path) findings {
	joined := spaceForT().ReplaceAllString(v, "${1}T${2}")
	t, ok := parseTime(joined)
	whole := t.hour != "" && t.zone != "" || t.hour == "" && s.Kind == shape.Date
	if ok && whole && joined == v && t.outOfRange() == "" {
		return nil
	}
	w := finding.Newf("invalid-time", p, finding.AtValue, "%s must be a time as in ISO 8601, got %q", p.Name(), v)
	w.Help = "write it as in " + shape.TimeExamples(s)
	switch {
	case v == "":
		w.Recode("empty-value")
		w.Message = p.Name() + " must not be empty"
	case !ok:
	case t.outOfRange() != "":
		w.Message = fmt.Sprintf("%s must be a time that exists, got %q", p.Name(), v)
		w.Help = t.outOfRange()
	case t.hour == "":
		w.Otherwise()
		w.Message = fmt.Sprintf("%s should have a time of day, got a date only: %q", p.Name(), v)
	case t.zone == "":
		w.Otherwise()
		w.Message = fmt.Sprintf("%s should have a time zone: %q", p.Name(), v)
		w.Help = "add Z for UTC, or an offset such as +01:00"
	default:
		w.Otherwise()
		w.Message = fmt.Sprintf("%s should have a T between the date and the time, got %q", p.Name(), v)
		w.Suggestion, w.Help = joined, "write "+strconv.Quote(joined)
	}
	return findings{w}
}

// spaceForT matches a date and a time with a space between them, as RFC 3339 allows and
// ISO 8601 does not.
var spaceForT = finding.Pattern(`^(\d{4}-\d{2}-\d{2}) (\d{2}:\d{2})`)

// A parsedTime is a time of ISO 8601 in its parts; those that are not given are "".
type parsedTime struct {
	year, month, day, yearDay, week, weekDay string
	hour, minute, second, zone               string
}

// timeForm takes a date and time of ISO 8601 apart, in its extended or its basic form: a
// calendar date, an ordinal date or one of a week, with or without a time of day and a zone.
var timeForm = finding.Pattern(`^(\d{4})(?:-(\d{2})-(\d{2})|(\d{2})(\d{2})|-?(\d{3})|-?W(\d{2})-?(\d))` +
	`(?:[Tt](\d{2})(?::?(\d{2})(?::?(\d{2}))?)?(?:[.,]\d+)?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$`)

func parseTime(v string) (parsedTime, bool) {
	m := timeForm().FindStringSubmatch(v)
	if m == nil {
		return parsedTime{}, false
	}
	return parsedTime{year: m[1], month: m[2] + m[4], day: m[3] + m[5], yearDay: m[6], week: m[7], weekDay: m[8],
		hour: m[9], minute: m[10], second: m[11], zone: m[12]}, true
}

// outOfRange says which part of a time does not exist, "" if all do.
func (t parsedTime) outOfRange() string {
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	year, month, day := number(t.year), number(t.month), number(t.day)
	switch {
	case t.yearDay != "" && (number(t.yearDay) < 1 || number(t.yearDay) > 366):
		return "days of a year go from 001 to 366"
	case t.week != "" && (number(t.week) < 1 || number(t.week) > 53 || number(t.weekDay) < 1 || number(t.weekDay) > 7):
		return "weeks go from 01 to 53, and their days from 1 to 7"
	case t.month != "" && (month < 1 || month > 12):
		return "months go from 01 to 12"
	case t.month != "" && (day < 1 || day > daysIn(year, month)):
		return fmt.Sprintf("%s %d has %d days", time.Month(month), year, daysIn(year, month))
	case number(t.hour) > 23 && (t.hour != "24" || number(t.minute)+number(t.second) > 0):
		return "hours go from 00 to 23"
	case number(t.minute) > 59:
		return "minutes go from 00 to 59"
	case number(t.second) > 59:
		return "seconds go from 00 to 59"
	case zoneOutOfRange(t.zone):
		return "the hours of a time zone go to 23, and its minutes to 59"
	}
	return ""
}

func zoneOutOfRange(zone string) bool {
	digits := strings.ReplaceAll(strings.TrimLeft(zone, "+-"), ":", "")
	if len(digits) < 2 {
		return false // Z, or none
	}
	hours, _ := strconv.Atoi(digits[:2])
	minutes, _ := strconv.Atoi(digits[2:])
	return hours > 23 || minutes > 59
}

func daysIn(year, month int) int {
	return time.Date(year, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()
}

// fromUnix writes a number that is probably a Unix time, in seconds or milliseconds, as
// ISO 8601 has it; "" if it is not one.
func fromUnix(n json.Number) string {
	v, err := n.Int64()
	switch {
	case err != nil:
		return ""
	case v >= 1e8 && v < 1e10:
		return time.Unix(v, 0).UTC().Format(time.RFC3339)
	case v >= 1e11 && v < 1e13:
		return time.UnixMilli(v).UTC().Format(time.RFC3339Nano)
	}
	return ""
}
