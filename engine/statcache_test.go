package engine

import (
	"testing"
	"time"

	"maia-dr/engine/component"
)

// A file that was written, or given other times, within two seconds before it was read is read again the next day: a second
// write in the same tick of the clock would have changed none of what is compared. Times in the future say nothing either.
func TestRested(t *testing.T) {
	now := time.Unix(1_760_000_000, 0)
	ago := func(d time.Duration) int64 { return now.Add(-d).UnixNano() }
	const long, short = time.Hour, time.Second
	for _, c := range []struct {
		mtime, ctime time.Duration
		want         bool
	}{
		{long, long, true}, {2*short + 1, 2*short + 1, true}, {short, short, false}, {long, short, false}, {short, long, false}, {2 * short, long, false},
		{0, 0, false}, {-long, long, false}, {long, -long, false},
	} {
		if got := rested(component.Stat{MTimeNS: ago(c.mtime), CTimeNS: ago(c.ctime)}, now); got != c.want {
			t.Errorf("written %v ago, changed %v ago: %v", c.mtime, c.ctime, got)
		}
	}
}
