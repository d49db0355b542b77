package schedule

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// machine is a Mac with a clock, a lid and a power button, and launchd on it.
type machine struct {
	t      *testing.T
	plan   Plan
	now    time.Time
	awake  time.Duration
	record Record

	off, asleep, failing, paused, busy []span
	freezes                            []span // a run that is at work at the beginning stands still until the end
	manual                             []time.Time

	complete []made // backups, by whoever made them
	drills   []time.Time
	told     []time.Time
	starts   int
	slept    int // runs that noticed it
	lastFull time.Time
}

type made struct {
	began, ended time.Time
	byHand       bool
}

type span struct{ from, to time.Time }

func in(spans []span, t time.Time) *span {
	for i := range spans {
		if !t.Before(spans[i].from) && t.Before(spans[i].to) {
			return &spans[i]
		}
	}
	return nil
}

// work is awake time: whatever falls into a freeze comes on top.
func (m *machine) work(d time.Duration) {
	const step = 10 * time.Second
	for ; d > 0; d -= step {
		m.now, m.awake = m.now.Add(step), m.awake+step
		if f := in(m.freezes, m.now); f != nil {
			m.now = f.to
		}
	}
}

func (m *machine) runner() *Runner {
	return &Runner{
		Plan: m.plan, Now: func() time.Time { return m.now }, Awake: func() time.Duration { return m.awake },
		Sleep: func(_ context.Context, d time.Duration) error { m.work(d); return nil },
		Load:  func() *Record { r := m.record; r.Runs = slices.Clone(r.Runs); return &r },
		Save:  func(r *Record) error { m.record = *r; m.record.Runs = slices.Clone(r.Runs); return nil },
		Facts: m.facts, Backup: m.backup, Drill: m.drill,
		Tell: func(time.Time) { m.told = append(m.told, m.now) },
		Log: func(text string) {
			if len(text) > 17 && text[:17] == "the machine slept" {
				m.slept++
			}
		},
	}
}

func (m *machine) facts() (Facts, error) {
	var f Facts
	for _, c := range m.complete {
		f.Complete = append(f.Complete, c.began)
	}
	if p := in(m.paused, m.now); p != nil {
		f.PausedUntil = p.to
	}
	local := m.now.In(m.plan.Zone)
	sunday := time.Date(local.Year(), local.Month(), local.Day()-int(local.Weekday()), 0, 0, 0, 0, m.plan.Zone)
	f.DrillDue = m.lastFull.Before(sunday)
	return f, nil
}

func (m *machine) backup(context.Context) (string, bool, error) {
	if in(m.busy, m.now) != nil {
		return "", false, ErrBusy
	}
	began := m.now
	m.work(2 * time.Minute)
	if in(m.failing, began) != nil {
		return "", false, errors.New("the disk is full")
	}
	m.complete = append(m.complete, made{began, m.now, false})
	return fmt.Sprintf("full_%d", began.Unix()), false, nil
}

func (m *machine) drill(context.Context) error {
	if in(m.busy, m.now) != nil {
		return ErrBusy
	}
	m.work(4 * time.Minute)
	m.lastFull = m.now
	m.drills = append(m.drills, m.now)
	return nil
}

// start is launchd starting the agent: never twice at once.
func (m *machine) start() {
	m.starts++
	if _, err := m.runner().Run(m.t.Context()); err != nil && err.Error() != "the disk is full" {
		m.t.Fatalf("%v: %v", m.now, err)
	}
}

// live lets the time pass until the end: launchd starts the agent at its times of day, once after a sleep in which some
// passed, at every login, and once more right after a run during which one passed.
func (m *machine) live(end time.Time) {
	wasOff, wasAsleep, due := true, false, false
	next := m.plan.NextStart(m.now)
	for m.now.Before(end) {
		off, asleep := in(m.off, m.now) != nil, in(m.asleep, m.now) != nil
		if off {
			due = false // what passes while it is off is lost
		}
		if !m.now.Before(next) {
			next, due = m.plan.NextStart(m.now), !off
		}
		if !off && !asleep {
			for i, h := range m.manual {
				if !h.IsZero() && !m.now.Before(h) {
					m.complete = append(m.complete, made{m.now, m.now.Add(time.Minute), true})
					m.manual[i] = time.Time{}
				}
			}
			if wasOff || due {
				due = false
				m.start()
				if wasAsleep {
					m.start() // and once more: two wakes in one slot
				}
			}
		}
		wasOff, wasAsleep = off, asleep
		m.now = m.now.Add(time.Minute)
		if !off && !asleep {
			m.awake += time.Minute
		}
	}
}

// days returns the span from a time of day of the n-th day to one of the m-th.
func (m *machine) days(first time.Time, n, hour, minute, o, toHour, toMinute int) span {
	return span{time.Date(first.Year(), first.Month(), first.Day()+n, hour, minute, 0, 0, m.plan.Zone),
		time.Date(first.Year(), first.Month(), first.Day()+o, toHour, toMinute, 0, 0, m.plan.Zone)}
}

// TestMonth is a simulated month in which everything happens that happens to a Mac, with daylight saving ending or
// beginning in it, and the daily time in the very hour that is skipped or repeated.
func TestMonth(t *testing.T) {
	faults := matrix.Of(t, "11", "12")
	zone := berlin(t)
	for _, first := range []time.Time{time.Date(2026, 3, 15, 12, 0, 0, 0, zone), time.Date(2026, 10, 11, 12, 0, 0, 0, zone), time.Date(2026, 6, 1, 12, 0, 0, 0, zone)} {
		for _, c := range []Clock{{3, 0}, {2, 30}, {2, 0}} {
			faults.Inject()
			t.Run(first.Format("2006-01")+" at "+c.String(), func(t *testing.T) { month(t, first, c) })
		}
	}
}

func month(t *testing.T, first time.Time, c Clock) {
	m := &machine{t: t, plan: defaultPlan(first.Location()), now: first}
	m.plan.At = c
	day := func(n, hour, minute, o, toHour, toMinute int) span {
		return m.days(first, n, hour, minute, o, toHour, toMinute)
	}
	m.asleep = []span{day(2, 0, 30, 2, 8, 10), day(3, 0, 30, 3, 8, 10), day(4, 1, 0, 4, 14, 20), day(20, 2, 10, 20, 3, 40)}
	m.off = []span{day(5, 22, 30, 6, 10, 5), day(7, 1, 0, 10, 11, 0), day(21, 0, 0, 21, 9, 1)}
	m.freezes = []span{
		{day(11, c.Hour, c.Minute, 11, 0, 0).from.Add(90 * time.Second), day(11, 8, 45, 12, 0, 0).from},
		{day(13, 22, 1, 0, 0, 0).from, day(14, 9, 20, 0, 0, 0).from}, // the evening's last attempt, into the next slot
	}
	m.failing = []span{day(13, c.Hour, c.Minute, 13, 21, 0), day(15, 0, 0, 17, 17, 0)}
	m.paused = []span{day(18, 1, 0, 19, 12, 0)}
	m.busy = []span{day(22, 1, 0, 22, 3, 10), day(23, 1, 0, 23, 8, 50)}
	m.manual = []time.Time{day(21, 9, 1, 0, 0, 0).from, day(24, 23, 0, 0, 0, 0).from}
	m.live(day(30, 12, 0, 0, 0, 0).from)

	perSlot := map[time.Time]int{}
	byClock := 0
	for _, b := range m.complete {
		perSlot[m.plan.Slot(b.began).Begin]++
		if !b.byHand {
			byClock++
		}
	}
	// No backup is made for the days that it was off all day, that all attempts failed, that were paused.
	none := []int{7, 8, 9, 15, 16, 18}
	for n := 1; n <= 30; n++ {
		begin := m.plan.Slot(day(n, 12, 0, 0, 0, 0).from).Begin
		want := 1
		if slices.Contains(none, n) {
			want = 0
		}
		if n == 24 {
			want = 2 // the person wanted one more
		}
		if perSlot[begin] != want {
			t.Errorf("day %d, %s: %d complete backups, want %d", n, begin.Format("Jan 2"), perSlot[begin], want)
		}
	}
	// 31 days with the one it begins on, less those without, and one came by hand before the schedule's.
	if want := 31 - len(none) - 1; byClock != want {
		t.Errorf("%d backups by the schedule, want %d", byClock, want)
	}
	// Off for three days: the first start mends it, nobody is told. Failing for a day, for two days, and paused for a day
	// and a half: told once each.
	if len(m.told) != 3 || in(m.failing[:1], m.told[0]) == nil || in(m.failing[1:], m.told[1]) == nil || in(m.paused, m.told[2]) == nil {
		t.Errorf("overdue was told %v", m.told)
	}
	m.checkDrills()
	if m.slept < 2 {
		t.Errorf("%d runs noticed that they had slept", m.slept)
	}
	if m.starts < 130 {
		t.Errorf("only %d starts", m.starts)
	}
}

func (m *machine) checkDrills() {
	weeks := map[[2]int]int{}
	for _, d := range m.drills {
		year, week := d.In(m.plan.Zone).AddDate(0, 0, 1).ISOWeek() // weeks that begin on Sunday
		weeks[[2]int{year, week}]++
	}
	for w, n := range weeks {
		if n != 1 {
			m.t.Errorf("%d full drills in week %v", n, w)
		}
	}
	if len(weeks) < 5 {
		m.t.Errorf("drills in %d weeks: %v", len(weeks), m.drills)
	}
}
