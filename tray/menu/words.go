package menu

import (
	"fmt"
	"math"
	"strings"
	"time"
	"unicode"
)

// maxText is how many characters of a text from elsewhere are shown in a row.
const maxText = 100

// Clean makes a text fit for a menu or a notification: one line, no control character, nothing that cannot be printed,
// no more than max characters. Kinds of space that scripts stumble over become plain ones.
func Clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r), unicode.Is(unicode.Zs, r):
			return ' '
		case r == unicode.ReplacementChar, !unicode.IsPrint(r):
			return '?'
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > limit {
		s = strings.TrimRight(string(r[:limit-1]), " ") + "…"
	}
	return s
}

func plural(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprintf("%d %s", n, many)
}

// ago writes how long before now t was, in the largest unit that fits. A moment that is still to come is "just now":
// two clocks differ, or one was set.
func ago(now, t time.Time) string {
	d := now.Sub(t)
	if d < time.Minute {
		return "just now"
	}
	return span(d) + " ago"
}

// span writes a duration of at least a minute in the largest unit that fits.
func span(d time.Duration) string {
	switch {
	case d < time.Hour:
		return plural(int(d.Minutes()), "minute", "minutes")
	case d < 48*time.Hour:
		return plural(int(d.Hours()), "hour", "hours")
	}
	return plural(int(d.Hours()/24), "day", "days")
}

// took writes how long something took.
func took(seconds float64) string {
	switch {
	case seconds < 1:
		return "under a second"
	case seconds < 59.5:
		return plural(int(math.Round(seconds)), "second", "seconds")
	}
	return plural(int(math.Round(seconds/60)), "minute", "minutes")
}

// size writes bytes in the units of macOS: 1 MB is a million bytes.
func size(n int64) string {
	switch f := float64(n); {
	case n < 1000:
		return plural(int(max(n, 0)), "byte", "bytes")
	case f < 999.5e3:
		return fmt.Sprintf("%.0f KB", f/1e3)
	case f < 9.95e6:
		return fmt.Sprintf("%.1f MB", f/1e6)
	case f < 999.5e6:
		return fmt.Sprintf("%.0f MB", f/1e6)
	case f < 9.95e9:
		return fmt.Sprintf("%.1f GB", f/1e9)
	default:
		return fmt.Sprintf("%.0f GB", f/1e9)
	}
}

// clock writes the time of day, with the day where it is not today's. Both in now's zone.
func clock(now, t time.Time) string {
	t = t.In(now.Location())
	switch days(now, t) {
	case 0:
		return t.Format("15:04")
	case -1:
		return "yesterday " + t.Format("15:04")
	case 1:
		return "tomorrow " + t.Format("15:04")
	}
	return t.Format("2 January 15:04")
}

// onDay is clock as a text of its own, with the day in any case.
func onDay(now, t time.Time) string {
	if days(now, t) == 0 {
		return "Today " + clock(now, t)
	}
	return sentence(clock(now, t))
}

// days counts the midnights from now to t.
func days(now, t time.Time) int {
	y, m, d := now.Date()
	from := time.Date(y, m, d, 12, 0, 0, 0, time.UTC)
	y, m, d = t.In(now.Location()).Date()
	return int(time.Date(y, m, d, 12, 0, 0, 0, time.UTC).Sub(from) / (24 * time.Hour))
}

// Tomorrow returns the first moment of the next day in now's zone.
func Tomorrow(now time.Time) time.Time {
	y, m, d := now.Date()
	return time.Date(y, m, d+1, 0, 0, 0, 0, now.Location())
}
