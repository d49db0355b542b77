package schedule

import (
	"slices"
	"testing"
	"time"
)

func berlin(t testing.TB) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func at(t testing.TB, zone *time.Location, s string) time.Time {
	t.Helper()
	out, err := time.ParseInLocation("2006-01-02 15:04:05", s, zone)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func defaultPlan(zone *time.Location) Plan {
	return Plan{At: Clock{3, 0}, CatchUp: []Clock{{9, 0}, {13, 0}, {18, 0}, {22, 0}}, Zone: zone}
}

func TestParseClock(t *testing.T) {
	for s, want := range map[string]Clock{"03:00": {3, 0}, "23:59": {23, 59}, "00:00": {}} {
		if got, err := ParseClock(s); err != nil || got != want || got.String() != s {
			t.Errorf("%s: %v, %v", s, got, err)
		}
	}
	for _, s := range []string{"", "3:00", "24:00", "03:60", "03", "03:00:00", "noon", " 3:00"} {
		if _, err := ParseClock(s); err == nil {
			t.Errorf("%q is taken", s)
		}
	}
}

func TestSlot(t *testing.T) {
	zone := berlin(t)
	p := defaultPlan(zone)
	for now, begin := range map[string]string{
		"2026-05-05 03:00:00": "2026-05-05 03:00:00", "2026-05-05 02:54:59": "2026-05-04 03:00:00",
		"2026-05-05 02:55:00": "2026-05-05 03:00:00", "2026-05-06 02:00:00": "2026-05-05 03:00:00",
		"2026-03-01 01:00:00": "2026-02-28 03:00:00", "2027-01-01 00:00:00": "2026-12-31 03:00:00",
	} {
		if s := p.Slot(at(t, zone, now)); !s.Begin.Equal(at(t, zone, begin)) || !s.Contains(at(t, zone, now)) {
			t.Errorf("%s lies in the slot of %v", now, s.Begin)
		}
	}
}

// Every moment lies in exactly one slot, slots follow upon one another, and there is one for each day: over two years,
// with a time of day that daylight saving skips and repeats, in zones that do so at other hours.
func TestSlotsCoverTime(t *testing.T) {
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range []Clock{{0, 0}, {1, 30}, {2, 0}, {2, 30}, {3, 0}, {23, 59}} {
			p := Plan{At: c, Zone: zone}
			now := time.Date(2026, 1, 1, 12, 0, 0, 0, zone)
			last := p.Slot(now)
			slots := 1
			for end := now.AddDate(2, 0, 0); now.Before(end); now = now.Add(10 * time.Minute) {
				s := p.Slot(now)
				if !s.Contains(now) {
					t.Fatalf("%s %v: %v does not lie in its slot %v", name, c, now, s)
				}
				if s != last {
					if !s.Begin.Equal(last.End) {
						t.Fatalf("%s %v: the slot %v does not follow on %v", name, c, s, last)
					}
					last, slots = s, slots+1
				}
			}
			if slots < 730 || slots > 731 {
				t.Errorf("%s %v: %d slots in two years", name, c, slots)
			}
		}
	}
}

func TestNextStart(t *testing.T) {
	zone := berlin(t)
	p := defaultPlan(zone)
	now := at(t, zone, "2026-10-24 22:00:00")
	var got []string
	for range 6 {
		now = p.NextStart(now)
		got = append(got, now.Format("02 15:04 MST"))
	}
	want := []string{"25 03:00 CET", "25 09:00 CET", "25 13:00 CET", "25 18:00 CET", "25 22:00 CET", "26 03:00 CET"}
	if !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

func TestDecide(t *testing.T) {
	zone := berlin(t)
	p := defaultPlan(zone)
	now := at(t, zone, "2026-05-05 09:00:00")
	today, yesterday := at(t, zone, "2026-05-05 03:00:10"), at(t, zone, "2026-05-04 22:00:00")
	for _, c := range []struct {
		name          string
		f             Facts
		tried         time.Time
		backup, drill bool
		why           Reason
	}{
		{name: "never", backup: true},
		{name: "yesterday", f: Facts{Complete: []time.Time{{}, yesterday}}, backup: true},
		{name: "today", f: Facts{Complete: []time.Time{yesterday, today}}, why: Done},
		{name: "today, drill", f: Facts{Complete: []time.Time{today}, DrillDue: true}, drill: true, why: Done},
		{name: "drill tried", f: Facts{Complete: []time.Time{today}, DrillDue: true}, tried: today, why: Done},
		{name: "drill tried yesterday", f: Facts{DrillDue: true}, tried: yesterday, backup: true, drill: true},
		{name: "paused", f: Facts{PausedUntil: now.Add(time.Minute), DrillDue: true}, why: Paused},
		{name: "pause over", f: Facts{PausedUntil: now}, backup: true},
		{name: "of the future", f: Facts{Complete: []time.Time{now.AddDate(4, 0, 0)}}, tried: now.AddDate(4, 0, 0), backup: true},
		{name: "later today", f: Facts{Complete: []time.Time{now.Add(time.Hour)}}, backup: true},
	} {
		if d := p.Decide(now, c.f, c.tried); d.Backup != c.backup || d.Drill != c.drill || d.Why != c.why {
			t.Errorf("%s: %+v", c.name, d)
		}
	}
	if Overdue(now, now.Add(-26*time.Hour)) || !Overdue(now, now.Add(-26*time.Hour-1)) || Overdue(now, time.Time{}) {
		t.Error("overdue is after 26 hours")
	}
}

func TestUnstarted(t *testing.T) {
	zone := berlin(t)
	p := defaultPlan(zone)
	now := at(t, zone, "2026-05-10 12:00:00")
	r := &Record{}
	if p.Unstarted(r, now) != nil {
		t.Error("a schedule that is not installed misses nothing")
	}
	r.InstalledAt = at(t, zone, "2026-05-05 12:00:00")
	for _, s := range []string{"2026-05-06 03:00:00", "2026-05-06 09:00:00", "2026-05-08 22:00:00", "2026-05-10 09:00:00"} {
		r.add(Run{At: at(t, zone, s)})
	}
	var got []int
	for _, s := range p.Unstarted(r, now) {
		got = append(got, s.Begin.In(zone).Day())
	}
	// The day of the installation and today are not over or not whole.
	if !slices.Equal(got, []int{7, 9}) {
		t.Errorf("the days %v had no start", got)
	}
	for i := range KeptRuns {
		r.add(Run{At: now.Add(time.Duration(i) * time.Second)})
	}
	if len(r.Runs) != KeptRuns || len(p.Unstarted(r, now.AddDate(0, 0, 3))) != 2 || !r.LastStart().Equal(now.Add((KeptRuns-1)*time.Second)) {
		t.Errorf("%d runs, last %v, %v", len(r.Runs), r.LastStart(), p.Unstarted(r, now.AddDate(0, 0, 3)))
	}
}
