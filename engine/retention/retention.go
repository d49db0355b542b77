// Package retention decides which backups stay and says why: a pure function
// from the list of backups to a decision for each. It reads no clock and no
// disk, and it deletes nothing; pruning acts on what it returns.
//
// # The rule
//
// Three rules run one after the other over the complete backups: daily,
// weekly, monthly. Each divides them by the calendar of one time zone into
// buckets (days, ISO weeks, months) and keeps the newest backup of the newest
// buckets, as many as the policy says. A backup kept by one rule is not
// counted by the next, so 7 + 4 + 12 are 23 distinct backups.
//
// A bucket is represented when its newest backup is already kept by an earlier
// rule. A represented bucket is passed over. This is the difference from "the
// newest one not yet kept of each week", which in daily use
// takes whichever backup left the daily rule yesterday, drops it for its
// successor the next morning, and with several backups a day spends its slots
// on the weeks and the month that the daily rule shows already. Here a week
// begins to count when its last backup leaves the daily rule, and what is then
// kept is the last backup of that week, for as long as the week counts. The
// same holds for months. So:
//
//   - A backup that is the newest of its week or month is never dropped
//     before its bucket is older than the rule reaches: no tier starves.
//   - Pruning daily, now and then, or once after years leaves the same set,
//     as long as clocks run forward.
//   - Deciding again on what was kept keeps all of it, and a larger policy
//     keeps everything that a smaller one kept.
//
// Only a rule that would otherwise stay short (a young repository, long gaps)
// fills its free slots from represented buckets, with the newest backup not
// yet kept of each.
//
// Newer and older are said of ids, never of clocks: ids only ever grow (see
// the repository's format), while Time is whatever the clock showed. So a
// clock that ran ahead costs a slot for each wrong day, and those are passed
// like others when newer backups arrive.
package retention

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// Backup is what a decision needs to know of one backup.
type Backup struct {
	ID       string    // grows with age order: the greater id is the newer backup
	Time     time.Time // the instant it was made, as the clock had it; says its day, week and month
	Complete bool      // its manifest decodes and every file and chunk it names is there
	Vault    bool      // it has a vault
	Uploaded bool      // client_uploaded in full
	Drilled  bool      // it passed a full drill
}

// Policy is how many backups each rule keeps. Zero means the default (7, 4,
// 12); a negative number switches the rule off.
type Policy struct {
	Daily   int
	Weekly  int
	Monthly int
}

// The numbers of a zero Policy.
const (
	DefaultDaily   = 7
	DefaultWeekly  = 4
	DefaultMonthly = 12
)

func (p Policy) applyDefaults() Policy {
	for _, f := range []struct {
		n *int
		d int
	}{{&p.Daily, DefaultDaily}, {&p.Weekly, DefaultWeekly}, {&p.Monthly, DefaultMonthly}} {
		if *f.n == 0 {
			*f.n = f.d
		}
	}
	return p
}

// Decision is what becomes of one backup.
type Decision struct {
	ID      string
	Keep    bool
	Reasons []string // why it stays, at least one, the calendar's first; none when it goes
}

// verdict is a backup on its way to a Decision.
type verdict struct {
	Backup
	local   time.Time // Time in the zone of the decision
	reasons []string
}

func (v *verdict) kept() bool { return len(v.reasons) > 0 }

// Decide returns a decision for every backup, newest first. The order of
// backups does not matter; loc is the zone whose days, weeks and months count
// (nil is UTC).
//
// Beyond the policy it keeps the last two complete backups, the newest with a
// vault, the newest uploaded and the newest that passed a full drill. An
// incomplete backup is never counted and never removed: what it lacks may
// still arrive.
func Decide(backups []Backup, p Policy, loc *time.Location) []Decision {
	p = p.applyDefaults()
	if loc == nil {
		loc = time.UTC
	}
	all := newestFirst(backups, loc)
	complete := make([]*verdict, 0, len(all))
	for _, v := range all {
		if v.Complete {
			complete = append(complete, v)
		} else {
			v.reasons = append(v.reasons, "incomplete: never removed")
		}
	}

	keepCalendar(complete, "daily", p.Daily, func(t time.Time) string { return t.Format(time.DateOnly) })
	keepCalendar(complete, "weekly", p.Weekly, func(t time.Time) string {
		year, week := t.ISOWeek()
		return fmt.Sprintf("%d-W%02d", year, week)
	})
	keepCalendar(complete, "monthly", p.Monthly, func(t time.Time) string { return t.Format("2006-01") })

	keepNewest(complete, 2, "one of the last two", func(Backup) bool { return true })
	keepNewest(complete, 1, "newest with a vault", func(b Backup) bool { return b.Vault })
	keepNewest(complete, 1, "newest uploaded", func(b Backup) bool { return b.Uploaded })
	keepNewest(complete, 1, "newest that passed a full drill", func(b Backup) bool { return b.Drilled })

	decisions := make([]Decision, len(all))
	for i, v := range all {
		decisions[i] = Decision{ID: v.ID, Keep: v.kept(), Reasons: v.reasons}
	}
	return decisions
}

func newestFirst(backups []Backup, loc *time.Location) []*verdict {
	all := make([]*verdict, len(backups))
	for i, b := range backups {
		all[i] = &verdict{Backup: b, local: b.Time.In(loc)}
	}
	slices.SortFunc(all, func(a, b *verdict) int {
		// Ids are unique; the time only makes the order total.
		return cmp.Or(cmp.Compare(b.ID, a.ID), b.Time.Compare(a.Time))
	})
	return all
}

// bucket is the backups of one day, week or month.
type bucket struct {
	key         string
	newest      *verdict // the newest not yet kept; nil if all are
	represented bool     // an earlier rule keeps the newest of all
}

// keepCalendar keeps one backup in each of the newest n buckets. Represented
// buckets come after all others, whatever their age.
func keepCalendar(newestFirst []*verdict, rule string, n int, key func(time.Time) string) {
	var open, represented []*bucket // each in age order
	byKey := make(map[string]*bucket)
	for _, v := range newestFirst {
		k := key(v.local)
		b := byKey[k]
		if b == nil {
			b = &bucket{key: k, represented: v.kept()}
			byKey[k] = b
		}
		if b.newest != nil || v.kept() {
			continue
		}
		b.newest = v
		if b.represented {
			represented = append(represented, b)
		} else {
			open = append(open, b)
		}
	}
	chosen := append(open, represented...)
	if n = max(n, 0); len(chosen) > n {
		chosen = chosen[:n]
	}
	for i, b := range chosen {
		b.newest.reasons = append(b.newest.reasons, fmt.Sprintf("%s %d of %d (%s)", rule, i+1, n, b.key))
	}
}

// keepNewest keeps the newest n that qualify, also those kept already: every
// reason is told.
func keepNewest(newestFirst []*verdict, n int, reason string, qualifies func(Backup) bool) {
	for _, v := range newestFirst {
		if n == 0 {
			return
		}
		if qualifies(v.Backup) {
			v.reasons = append(v.reasons, reason)
			n--
		}
	}
}
