package schedule

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Clock is a time of day, on the machine's clock.
type Clock struct{ Hour, Minute int }

func (c Clock) String() string { return fmt.Sprintf("%02d:%02d", c.Hour, c.Minute) }

// ParseClock reads "03:00".
func ParseClock(s string) (Clock, error) {
	t, err := time.Parse("15:04", s)
	if err != nil || len(s) != len("15:04") {
		return Clock{}, fmt.Errorf("%q is no time of day; write it like 03:00", s)
	}
	return Clock{t.Hour(), t.Minute()}, nil
}

// Plan says when backups are due. Zone nil is UTC.
type Plan struct {
	At      Clock
	CatchUp []Clock
	Zone    *time.Location
}

// early is how long before its time a day may be begun: a clock that is set right by some seconds just after it has
// woken the program must not cost the day.
const early = 5 * time.Minute

// Slot is one day of the plan: from its time of day to that of the day after. One complete backup is due in it.
type Slot struct{ Begin, End time.Time }

// Contains reports whether a backup that began at t is the slot's.
func (s Slot) Contains(t time.Time) bool {
	return !t.Before(s.Begin.Add(-early)) && t.Before(s.End.Add(-early))
}

// Slot returns the slot that now lies in.
func (p Plan) Slot(now time.Time) Slot {
	// Where daylight saving skips midnight, the next day may begin before it.
	day := 1
	for now.Before(p.begin(now, day).Add(-early)) {
		day--
	}
	return Slot{Begin: p.begin(now, day), End: p.begin(now, day+1)}
}

// begin returns when the slot of the day begins that is some days from now. In the hour that daylight saving skips or
// repeats it is one of the two that could be meant; the days stay in order.
func (p Plan) begin(now time.Time, days int) time.Time { return p.on(now, days, p.At) }

func (p Plan) on(now time.Time, days int, c Clock) time.Time {
	zone := p.Zone
	if zone == nil {
		zone = time.UTC
	}
	local := now.In(zone)
	return time.Date(local.Year(), local.Month(), local.Day()+days, c.Hour, c.Minute, 0, 0, zone)
}

// Clocks are all times of day at which the program is to be started, in the order of the day, each once.
func (p Plan) Clocks() []Clock {
	all := append([]Clock{p.At}, p.CatchUp...)
	slices.SortFunc(all, func(a, b Clock) int { return (a.Hour-b.Hour)*60 + a.Minute - b.Minute })
	return slices.Compact(all)
}

// NextSlot returns when the next day of the plan begins.
func (p Plan) NextSlot(now time.Time) time.Time { return p.Slot(now).End }

// NextStart returns the next time after now at which the program is started.
func (p Plan) NextStart(now time.Time) time.Time {
	var next time.Time
	for days := range 3 {
		for _, c := range p.Clocks() {
			if t := p.on(now, days, c); t.After(now) && (next.IsZero() || t.Before(next)) {
				next = t
			}
		}
	}
	return next
}

// Reason says why there is no backup to make.
type Reason string

// The reasons.
const (
	Done   Reason = "already_done" // the slot has a complete backup
	Paused Reason = "paused"       // by the user
)

// Facts are what a decision depends on besides the clock.
type Facts struct {
	// Complete are the moments at which complete backups began, as far as they are known; zero ones count for nothing.
	Complete []time.Time
	// PausedUntil is when a pause ends; zero: there is none.
	PausedUntil time.Time
	// DrillDue: the weekly full drill should run.
	DrillDue bool
}

// Decision is what a scheduled run has to do now.
type Decision struct {
	Slot   Slot
	Backup bool
	// Drill: a full drill, after the backup if there is one.
	Drill bool
	// Why says why there is no backup; empty: there is one.
	Why Reason
}

// Decide says what is to be done. drillTried is when a scheduled run last tried a full drill: it is tried once in a
// slot. A backup of the future counts for nothing: it was made while the clock was wrong, and would silence the
// schedule until then.
func (p Plan) Decide(now time.Time, f Facts, drillTried time.Time) Decision {
	d := Decision{Slot: p.Slot(now)}
	done := slices.ContainsFunc(f.Complete, func(t time.Time) bool {
		return d.Slot.Contains(t) && !t.After(now.Add(early))
	})
	switch {
	case now.Before(f.PausedUntil):
		d.Why = Paused
		return d
	case done:
		d.Why = Done
	default:
		d.Backup = true
	}
	tried := d.Slot.Contains(drillTried) && !drillTried.After(now.Add(early))
	d.Drill = f.DrillDue && !tried
	return d
}

// OverdueAfter is how old the newest complete backup may be.
const OverdueAfter = 26 * time.Hour

// Overdue reports whether the newest complete backup began too long ago; zero: there never was one, which is another
// thing to tell.
func Overdue(now, newest time.Time) bool { return !newest.IsZero() && now.Sub(newest) > OverdueAfter }

// ErrBusy says that another run is active.
var ErrBusy = errors.New("another run is active")
