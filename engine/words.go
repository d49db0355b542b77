package engine

import (
	"fmt"
	"time"
)

// counted writes a number with its noun.
func counted[N int | int64](n N, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n) + " " + many
}

// AgeText writes how old something is: in hours up to two days, then in days.
func AgeText(d time.Duration) string {
	switch h := int(max(d, 0).Hours()); {
	case d < time.Minute:
		return "under a minute"
	case h < 1:
		return counted(int(max(d, 0).Minutes()), "minute", "minutes")
	case h < 48:
		return counted(h, "hour", "hours")
	default:
		return counted(h/24, "day", "days")
	}
}

// firstOf says how many problems there are, and names the first.
func firstOf(bad []string) string {
	if len(bad) == 1 {
		return "a problem: " + bad[0]
	}
	return fmt.Sprintf("%d problems, %s among them", len(bad), bad[0])
}

// unpushedText says that commits are in no backup.
func unpushedText(n int) string {
	return counted(n, "commit that no remote has is", "commits that no remote has are") + " not in the backup"
}

// megabytes writes a size for people: of less than a megabyte, that it is that.
func megabytes(n int64) string {
	if n < 1e6 {
		return "under 1 MB"
	}
	return fmt.Sprintf("%d MB", n/1e6)
}
