package retention

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // the zones below, also on a machine without them

	"maia-dr/packaging/ci/faults/matrix"
)

// machine is a Mac that backs up and prunes: what exists, and all that ever did.
type machine struct {
	t       *testing.T
	loc     *time.Location
	present []Backup
	ever    []Backup
	lastID  time.Time
}

func newMachine(t *testing.T, zone string) *machine {
	t.Helper()
	loc, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	return &machine{t: t, loc: loc}
}

// backup makes one with the clock at now. Its id follows the repository's
// rule: the clock, or the last id plus one second.
func (m *machine) backup(now time.Time, change func(*Backup)) Backup {
	id := now.UTC().Truncate(time.Second)
	if !id.After(m.lastID) {
		id = m.lastID.Add(time.Second)
	}
	m.lastID = id
	b := Backup{ID: "full_" + id.Format("20060102_150405"), Time: now, Complete: true}
	if change != nil {
		change(&b)
	}
	m.present = append(m.present, b)
	m.ever = append(m.ever, b)
	return b
}

// prune deletes what Decide gives up and checks what must hold on any day.
func (m *machine) prune() []Decision {
	m.t.Helper()
	before := m.present
	decisions := Decide(before, Policy{}, m.loc)
	checkDecisions(m.t, before, decisions)
	keep := make(map[string]bool)
	for _, d := range decisions {
		keep[d.ID] = d.Keep
	}
	m.present = nil
	for _, b := range before {
		if keep[b.ID] {
			m.present = append(m.present, b)
		}
	}
	return decisions
}

// checkDecisions holds for every input.
func checkDecisions(t *testing.T, backups []Backup, decisions []Decision) {
	t.Helper()
	if len(decisions) != len(backups) {
		t.Fatalf("%d decisions for %d backups", len(decisions), len(backups))
	}
	byID := make(map[string]Backup)
	for _, b := range backups {
		byID[b.ID] = b
	}
	complete := 0
	first := map[string]bool{} // further keeps met already, newest first
	for i, d := range decisions {
		b, ok := byID[d.ID]
		if !ok {
			t.Fatalf("decision on a stranger %q", d.ID)
		}
		delete(byID, d.ID)
		if i > 0 && decisions[i-1].ID < d.ID {
			t.Fatalf("decisions are not newest first: %s before %s", decisions[i-1].ID, d.ID)
		}
		if d.Keep != (len(d.Reasons) > 0) {
			t.Fatalf("%s: keep %v with reasons %q", d.ID, d.Keep, d.Reasons)
		}
		if !b.Complete {
			if !slices.Equal(d.Reasons, []string{"incomplete: never removed"}) {
				t.Fatalf("incomplete %s: reasons %q", d.ID, d.Reasons)
			}
			continue
		}
		complete++
		if complete <= 2 && !slices.Contains(d.Reasons, "one of the last two") {
			t.Fatalf("%s is one of the last two: reasons %q", d.ID, d.Reasons)
		}
		for reason, has := range map[string]bool{
			"newest with a vault": b.Vault, "newest uploaded": b.Uploaded, "newest that passed a full drill": b.Drilled,
		} {
			if want := has && !first[reason]; want != slices.Contains(d.Reasons, reason) {
				t.Fatalf("%s: reason %q should be there: %v; reasons %q", d.ID, reason, want, d.Reasons)
			}
			first[reason] = first[reason] || has
		}
	}
}

// count is how many backups a rule ("daily", "weekly", "monthly") keeps.
func count(decisions []Decision, rule string) int {
	n := 0
	for _, d := range decisions {
		if slices.ContainsFunc(d.Reasons, func(r string) bool { return strings.HasPrefix(r, rule+" ") }) {
			n++
		}
	}
	return n
}

// calendarKeeps counts the backups that the three rules keep, once each.
func calendarKeeps(decisions []Decision) int {
	return count(decisions, "daily") + count(decisions, "weekly") + count(decisions, "monthly")
}

func keptIDs(decisions []Decision) []string {
	var ids []string
	for _, d := range decisions {
		if d.Keep {
			ids = append(ids, d.ID)
		}
	}
	return ids
}

// expectedDates says by calendar arithmetic alone what 7/4/12 keep on the day
// today when there is a backup on every day: the last seven days, then the
// last four Sundays before them, then the last twelve month ends that are
// neither.
func expectedDates(today time.Time) []string {
	var dates []string
	day := today
	for range 7 {
		dates = append(dates, day.Format(time.DateOnly))
		day = day.AddDate(0, 0, -1)
	}
	for d, n := day, 0; n < 4; d = d.AddDate(0, 0, -1) {
		if d.Weekday() == time.Sunday {
			dates = append(dates, d.Format(time.DateOnly))
			n++
		}
	}
	for d, n := day, 0; n < 12; d = d.AddDate(0, 0, -1) {
		lastOfMonth := d.AddDate(0, 0, 1).Day() == 1
		if lastOfMonth && !slices.Contains(dates, d.Format(time.DateOnly)) {
			dates = append(dates, d.Format(time.DateOnly))
			n++
		}
	}
	slices.Sort(dates)
	return dates
}

// Three years of daily use in zones with daylight saving time on both
// hemispheres, a leap day (2024) and years of 53 weeks (2020, 2026).
func TestThreeYearsDaily(t *testing.T) {
	faults := matrix.Of(t, "12")
	for _, tc := range []struct {
		zone  string
		start time.Time
	}{
		{"Europe/Berlin", time.Date(2023, 6, 14, 3, 0, 0, 0, time.UTC)},
		{"America/New_York", time.Date(2025, 1, 1, 3, 0, 0, 0, time.UTC)},
		{"Australia/Sydney", time.Date(2019, 10, 1, 3, 0, 0, 0, time.UTC)},
		{"America/St_Johns", time.Date(2018, 12, 31, 3, 0, 0, 0, time.UTC)},
	} {
		t.Run("zone="+tc.zone, func(t *testing.T) {
			t.Parallel()
			m := newMachine(t, tc.zone)
			settled := 0
			for n := range 3*365 + 1 {
				faults.Inject()
				// 02:30 on the wall: the hour that daylight saving time skips and repeats.
				now := time.Date(tc.start.Year(), tc.start.Month(), tc.start.Day()+n, 2, 30, 0, 0, m.loc)
				m.backup(now, nil)
				decisions := m.prune()
				if got, want := count(decisions, "daily"), min(7, n+1); got != want {
					t.Fatalf("day %d: %d kept daily, want %d", n, got, want)
				}
				if n >= 7*6 && count(decisions, "weekly") != 4 {
					t.Fatalf("day %d: %d kept weekly, want 4", n, count(decisions, "weekly"))
				}
				if n%31 == 0 {
					checkSameAsNeverPruned(t, m)
				}
				if n < 13*31+10 {
					continue
				}
				settled++
				if len(m.present) != 23 || calendarKeeps(decisions) != 23 {
					t.Fatalf("day %d: %d kept, %d of them by the calendar, want 23", n, len(m.present), calendarKeeps(decisions))
				}
				var dates []string
				for _, b := range m.present {
					dates = append(dates, b.Time.In(m.loc).Format(time.DateOnly))
				}
				today := time.Date(now.Year(), now.Month(), now.Day(), 12, 0, 0, 0, time.UTC)
				if want := expectedDates(today); !slices.Equal(dates, want) {
					t.Fatalf("day %d: kept\n%v, want\n%v", n, dates, want)
				}
				if span := now.Sub(m.present[0].Time).Hours() / 24; span < 340 || span > 410 {
					t.Fatalf("day %d: the kept backups span %.0f days", n, span)
				}
			}
			if settled < 600 {
				t.Fatalf("only %d settled days were looked at", settled)
			}
		})
	}
}

// checkSameAsNeverPruned holds while clocks run forward: when the pruning
// happens makes no difference.
func checkSameAsNeverPruned(t *testing.T, m *machine) {
	t.Helper()
	pruned, never := keptIDs(Decide(m.present, Policy{}, m.loc)), keptIDs(Decide(m.ever, Policy{}, m.loc))
	if !slices.Equal(pruned, never) {
		t.Fatalf("pruned daily\n%v\nnever pruned\n%v", pruned, never)
	}
}

// Three years of a person's use: holidays, sick leave, days with many backups,
// weeks without a manual one, unfinished runs, drills and vaults now and then,
// pruning not always run.
func TestThreeYearsWithGaps(t *testing.T) {
	faults := matrix.Of(t, "12")
	for seed := range uint64(12) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			rng := rand.New(rand.NewPCG(seed, 12))
			m := newMachine(t, []string{"Europe/Berlin", "Asia/Kolkata", "Pacific/Auckland"}[seed%3])
			now := time.Date(2023, 11, 20, 3, 0, 0, 0, m.loc)
			end := now.AddDate(3, 0, 0)
			incomplete := 0
			for now.Before(end) {
				faults.Inject()
				m.backup(now, func(b *Backup) {
					b.Complete = rng.IntN(40) != 0
					b.Vault = rng.IntN(3) == 0
					b.Uploaded = rng.IntN(10) == 0
					b.Drilled = rng.IntN(30) == 0
					if !b.Complete {
						incomplete++
					}
				})
				if rng.IntN(10) > 0 {
					checkTiersAreFull(t, m, m.prune())
				}
				now = now.Add(pause(rng))
			}
			decisions := m.prune()
			if got := calendarKeeps(decisions); got != 23 {
				t.Errorf("%d kept by the calendar after three years, want 23", got)
			}
			unfinished := 0
			for _, b := range m.present {
				if !b.Complete {
					unfinished++
				}
			}
			if unfinished != incomplete || incomplete == 0 {
				t.Errorf("%d of %d incomplete backups are left", unfinished, incomplete)
			}
		})
	}
}

// pause is the time to the next backup: mostly a day, sometimes minutes, now
// and then weeks.
func pause(rng *rand.Rand) time.Duration {
	day := 24 * time.Hour
	switch rng.IntN(20) {
	case 0:
		return time.Duration(1+rng.IntN(35)) * day
	case 1, 2, 3:
		return time.Duration(1+rng.IntN(600)) * time.Minute
	default:
		return day + time.Duration(rng.IntN(240)-120)*time.Minute
	}
}

// checkTiersAreFull says that no rule is short while a backup is given up that
// it could have kept.
func checkTiersAreFull(t *testing.T, m *machine, decisions []Decision) {
	t.Helper()
	for rule, n := range map[string]int{"daily": 7, "weekly": 4, "monthly": 12} {
		if got := count(decisions, rule); got > n {
			t.Fatalf("%d kept %s, more than %d", got, rule, n)
		}
	}
	if count(decisions, "monthly") == 12 {
		return
	}
	// Every month that has a complete backup is still in the set.
	months := make(map[string]bool)
	for _, b := range m.present {
		if b.Complete {
			months[b.Time.In(m.loc).Format("2006-01")] = true
		}
	}
	for _, b := range m.ever {
		if month := b.Time.In(m.loc).Format("2006-01"); b.Complete && !months[month] {
			t.Fatalf("nothing is left of %s, though only %d are kept monthly", month, count(decisions, "monthly"))
		}
	}
}

// A clock that jumps and is set right again. Time is the clock's, or follows
// the id where the caller knows no better.
func TestClockJumps(t *testing.T) {
	faults := matrix.Of(t, "12")
	const day = 24 * time.Hour
	for _, tc := range []struct {
		name string
		jump time.Duration // added to the clock for the days that are wrong
		days int
	}{
		{"forward 400 days for 3", 400 * day, 3},
		{"forward 20 years for 10", 20 * 365 * day, 10},
		{"forward 2 days for 30", 2 * day, 30},
		{"back 1 day for 1", -day, 1},
		{"back 400 days for 3", -400 * day, 3},
		{"back 54 years for 20", -54 * 365 * day, 20},
	} {
		for _, timeIs := range []string{"clock", "id"} {
			t.Run(fmt.Sprintf("jump=%s/time=%s", tc.name, timeIs), func(t *testing.T) {
				t.Parallel()
				m := newMachine(t, "Europe/Berlin")
				start := time.Date(2023, 3, 1, 3, 0, 0, 0, m.loc)
				const wrong = 500 // the day on which the clock goes wrong
				for n := range wrong + 450 {
					faults.Inject()
					now := start.AddDate(0, 0, n)
					if n >= wrong && n < wrong+tc.days {
						now = now.Add(tc.jump)
					}
					m.backup(now, func(b *Backup) {
						if timeIs == "id" {
							b.Time, _ = time.Parse("full_20060102_150405", b.ID)
						}
					})
					decisions := m.prune()
					if n > 14*31 && calendarKeeps(decisions) < 22 {
						t.Fatalf("day %d: only %d kept by the calendar", n, calendarKeeps(decisions))
					}
					if timeIs == "clock" && n > wrong+tc.days+6 {
						checkLastWeekIsDaily(t, n, m, decisions)
					}
				}
			})
		}
	}
}

// checkLastWeekIsDaily says that a clock set right is forgotten after a week:
// the seven newest backups, one a day, are the daily ones.
func checkLastWeekIsDaily(t *testing.T, n int, m *machine, decisions []Decision) {
	t.Helper()
	newest := m.ever[len(m.ever)-7:]
	for i, d := range decisions[:7] {
		if want := newest[6-i].ID; d.ID != want || !strings.HasPrefix(d.Reasons[0], "daily ") {
			t.Fatalf("day %d: place %d is %s %q, want %s as a daily one", n, i, d.ID, d.Reasons, want)
		}
	}
}
