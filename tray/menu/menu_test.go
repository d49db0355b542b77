package menu

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

// each calls check with the menu of every golden state, at the time of the golden files and at others.
func each(t *testing.T, check func(t *testing.T, s State, at time.Time, m Menu)) {
	for name := range states {
		for _, at := range []time.Time{now, now.Add(14*time.Hour + 30*time.Minute), now.Add(30 * time.Hour), now.Add(-300 * time.Hour), now.Add(9 * 24 * time.Hour)} {
			t.Run(name+at.Format("/02T15"), func(t *testing.T) {
				s := state(name)
				check(t, s, at, Build(s, at))
			})
		}
	}
}

func TestAnswersBegin(t *testing.T) {
	each(t, func(t *testing.T, _ State, _ time.Time, m Menu) {
		for i, want := range []string{"Last backup: ", "OneDrive: ", "Restore: "} {
			if got := m.Rows[i].Label; !strings.HasPrefix(got, want) || len(got) == len(want) {
				t.Errorf("%q does not begin with %q", got, want)
			}
			if !strings.Contains(m.Tooltip, m.Rows[i].Label) {
				t.Errorf("the tooltip %q lacks %q", m.Tooltip, m.Rows[i].Label)
			}
		}
	})
}

func TestRowsAreClickable(t *testing.T) {
	each(t, func(t *testing.T, s State, _ time.Time, m Menu) {
		opens := map[Slot]bool{}
		for i := range Slots {
			if parent, ok := i.Parent(); ok && m.Rows[i].Label != "" {
				opens[parent] = true
			}
		}
		for i, r := range m.Rows {
			slot := Slot(i)
			switch {
			case r.Label == "":
				if r != (Row{}) {
					t.Errorf("slot %d is hidden and holds %+v", i, r)
				}
			case r.Enabled && (r.Action == Action{}) != opens[slot]:
				t.Errorf("%q has the action %+v and opens a submenu: %t", r.Label, r.Action, opens[slot])
			case r.Ticked && !slot.Tick():
				t.Errorf("%q has no place for its tick", r.Label)
			}
			if len([]rune(r.Label)) > 170 || !utf8.ValidString(r.Label) || strings.ContainsFunc(r.Label, func(c rune) bool { return !unicode.IsPrint(c) }) {
				t.Errorf("the label %q", r.Label)
			}
			if !s.Can.Terminal && r.Enabled && r.Action.Verb == InTerminal {
				t.Errorf("%q needs a terminal", r.Label)
			}
		}
		if m.Rows[Quit].Action.Verb != DoQuit || !m.Rows[Quit].Enabled {
			t.Error("no way to quit")
		}
		if m.Rows[BackUp].Enabled && (s.Status.Activity == "running" || s.Newer) {
			t.Error("a second backup could be started")
		}
	})
}

func TestWithoutTerminal(t *testing.T) {
	for name := range states {
		s := state(name)
		s.Can = Capabilities{}
		for i, r := range Build(s, now).Rows {
			if r.Enabled && r.Action.Verb == InTerminal || r.Action.Verb == DoSchedule || r.Action.Verb == InBackground {
				t.Errorf("%s, slot %d: %+v", name, i, r)
			}
		}
	}
}

// green is DESIGN 7 once more, in other words than the code's.
func green(s State, at time.Time) bool {
	st := s.Status
	if !s.Loaded || s.Newer || s.Failure != "" || st.Newest == nil || len(st.Problems) > 0 || st.LastFailure != nil && st.LastFailure.Code != "cancelled" {
		return false
	}
	if age := at.Sub(st.Newest.CreatedAt); st.Overdue || age > 26*time.Hour || age < -time.Minute {
		return false
	}
	if o := st.OneDrive; o.Waiting != 0 || o.State != "client_uploaded" && o.State != "cloud_verified" || o.Verdict != "" && o.Verdict != "done" && o.Verdict != "progressing" && o.Verdict != "unknowable" {
		return false
	}
	f := st.Restore.LastFull
	return st.Restore.Proven && f != nil && f.Passed && at.Sub(f.At) < 8*24*time.Hour
}

func pick[T any](r *rand.Rand, of ...T) T { return of[r.IntN(len(of))] }

// random makes a state that is mostly fine, so that each single flaw is met alone.
func random(r *rand.Rand) State {
	s := fine()
	flaw := func(f func()) {
		if r.IntN(8) == 0 {
			f()
		}
	}
	st := &s.Status
	flaw(func() { s.Loaded = false })
	flaw(func() { s.Newer = true })
	flaw(func() { s.Failure = "x" })
	flaw(func() { st.Newest = nil })
	flaw(func() { st.LastBackup = nil })
	flaw(func() { st.Newest = &Newest{CreatedAt: now.Add(time.Duration(r.IntN(100)-50) * time.Hour)} })
	flaw(func() { st.Overdue = true })
	flaw(func() {
		st.OneDrive.State = pick(r, "", "unknown", "local_only", "pending", "uploading", "cloud_verified", "later_rung")
	})
	flaw(func() {
		st.OneDrive.Verdict = pick(r, "", "progressing", "slow", "stuck", "blocked", "unknowable", "later")
	})
	flaw(func() { st.OneDrive.Waiting = r.IntN(3) })
	flaw(func() { st.Restore.Proven = false })
	flaw(func() {
		st.Restore.LastFull = pick(r, nil, &Drilled{At: now}, &Drilled{At: now.Add(-200 * time.Hour), Passed: true})
	})
	flaw(func() { st.Problems = []Trouble{trouble(pick(r, "overdue", "later_code", "interrupted"), "x")} })
	flaw(func() { st.LastFailure = &Failure{At: now, Code: pick(r, "failed", "cancelled", "disk_full")} })
	flaw(func() {
		s.Muted = map[string]time.Time{"overdue": now.Add(time.Hour), FailureKey: now.Add(time.Hour), "sync_slow": now.Add(time.Hour), "interrupted": now}
	})
	flaw(func() { st.Activity = pick(r, "running", "interrupted", "later") })
	flaw(func() { s.PausedUntil = now.Add(time.Hour) })
	return s
}

func TestGreenIsProven(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	greens, others := 0, 0
	for range 20000 {
		s := random(r)
		m := Build(s, now)
		switch {
		case m.Icon == Proven && !green(s, now):
			t.Fatalf("green: %+v", s)
		case m.Icon == Proven:
			greens++
		default:
			others++
		}
		if restore := m.Rows[Restore].Label; strings.HasPrefix(restore, "Restore: proven") && (!s.Status.Restore.Proven || !s.Loaded || s.Failure != "" || s.Newer) {
			t.Fatalf("%s: %+v", restore, s)
		}
		if o := m.Rows[OneDrive].Label; strings.Contains(o, "verified in the cloud") && s.Status.OneDrive.State != "cloud_verified" ||
			strings.Contains(o, "reports all") && s.Status.OneDrive.State != "client_uploaded" {
			t.Fatalf("%s: %+v", o, s)
		}
		if m != Build(s, now) {
			t.Fatal("the same state gives two menus")
		}
	}
	if greens < 1000 || others < 1000 {
		t.Errorf("%d green, %d others: the states are not mixed", greens, others)
	}
}

// Nothing that is not known is shown as success.
func TestUnknownIsNoSuccess(t *testing.T) {
	// What was fine before it could not be read any more.
	unreadable, newer := fine(), fine()
	unreadable.Failure, newer.Newer = "x", true
	for _, s := range []State{unreadable, newer, {}, {Loaded: true}, {Loaded: true, Failure: "x"}, {Loaded: true, Newer: true}, {Loaded: true, Status: Status{Version: 1, Backups: 3, OneDrive: Sync{Path: "/o", State: "unknown"}}}} {
		m := Build(s, now)
		if m.Icon == Proven {
			t.Errorf("%+v is green", s)
		}
		for _, word := range []string{": proven", "uploaded,", "verified in", "minutes ago", "hours ago"} {
			for _, slot := range []Slot{LastBackup, OneDrive, Restore} {
				if strings.Contains(m.Rows[slot].Label, word) {
					t.Errorf("%+v: %s", s, m.Rows[slot].Label)
				}
			}
		}
	}
}

// Time alone makes a fine state overdue and unproven.
func TestTimePasses(t *testing.T) {
	s := fine()
	for hours, want := range map[int]Icon{0: Proven, 19: Proven, 20: Overdue, 400: Overdue} {
		if got := Build(s, now.Add(time.Duration(hours)*time.Hour)).Icon; got != want {
			t.Errorf("after %d hours: %s, want %s", hours, got, want)
		}
	}
	s.Status.Newest.CreatedAt = now.Add(200 * time.Hour)
	if m := Build(s, now.Add(200*time.Hour)); m.Icon != Neutral || !strings.Contains(m.Rows[Restore].Label, "over 8 days") {
		t.Error(m)
	}
}

// The icon is one of Icons, and a run goes through all its steps.
func TestIcons(t *testing.T) {
	all := map[Icon]bool{}
	for _, i := range Icons() {
		if all[i] {
			t.Errorf("%s twice", i)
		}
		all[i] = true
	}
	each(t, func(t *testing.T, _ State, _ time.Time, m Menu) {
		if !all[m.Icon] {
			t.Errorf("an unknown icon, %q", m.Icon)
		}
	})
	for done, want := range map[float64]Icon{-1: "running-0", 0: "running-0", 0.124: "running-0", 0.125: "running-1", 0.99: "running-7", 1: "running-7", 7: "running-7"} {
		if got := Running(done); got != want {
			t.Errorf("%v: %s, want %s", done, got, want)
		}
	}
}

func TestSlots(t *testing.T) {
	if Problem(MaxProblems) != MoreProblems || RecentBackup(MaxRecent) != OpenFolder || Muting(MaxProblems) != Password {
		t.Error("slots overlap")
	}
	children := map[Slot]int{}
	for s := range Slots {
		if parent, ok := s.Parent(); ok {
			children[parent]++
			if parent >= s {
				t.Errorf("%d comes before the row that opens it", s)
			}
		}
	}
	if children[Recent] != MaxRecent || children[RecentBackup(4)] != 3 || children[Pause] != 3 || children[Mute] != MaxProblems || len(children) != 3+MaxRecent {
		t.Error(children)
	}
}

// A muted problem stays to be seen, no longer counts, and counts again after its time.
func TestMuted(t *testing.T) {
	s := state("overdue")
	s.Muted = map[string]time.Time{"overdue": now.Add(time.Hour)}
	m := Build(s, now)
	if m.Icon != Neutral || !strings.HasPrefix(m.Rows[Problem(0)].Label, "Muted until 15 October: ") || strings.Contains(m.Tooltip, "problem") {
		t.Error(m)
	}
	if m := Build(s, now.Add(time.Hour)); m.Icon != Overdue || m.Rows[Muting(0)].Ticked {
		t.Error(m)
	}
}

func TestNextBackup(t *testing.T) {
	s := fine()
	for hour, want := range map[int]string{2: "03:00", 3: "tomorrow 03:00", 23: "tomorrow 03:00"} {
		at := time.Date(2025, 10, 15, hour, 0, 0, 0, now.Location())
		if got := Build(s, at).Rows[NextRun].Label; got != "Next backup: due "+want {
			t.Errorf("at %d: %q", hour, got)
		}
	}
	s.Schedule.Next = now.Add(4 * time.Hour)
	for after, want := range map[time.Duration]string{0: "13:30", 4 * time.Hour: "tomorrow 03:00"} {
		if got := Build(s, now.Add(after)).Rows[NextRun].Label; got != "Next backup: due "+want {
			t.Errorf("after %s: %q", after, got)
		}
	}
	s.Schedule.Next = time.Time{}
	// The night in which the clocks are set has another length than others.
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2025, 10, 25, 12, 0, 0, 0, berlin)
	if got := Build(s, at).Rows[NextRun].Label; got != "Next backup: due tomorrow 03:00" {
		t.Error(got)
	}
	if got := Tomorrow(at); !got.Equal(time.Date(2025, 10, 26, 0, 0, 0, 0, berlin)) {
		t.Error(got)
	}
}

func TestWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Hour: "just now", 59 * time.Second: "just now", time.Minute: "1 minute ago", 59*time.Minute + 59*time.Second: "59 minutes ago",
		time.Hour: "1 hour ago", 47 * time.Hour: "47 hours ago", 48 * time.Hour: "2 days ago",
	} {
		if got := ago(now, now.Add(-d)); got != want {
			t.Errorf("%s: %q, want %q", d, got, want)
		}
	}
	for n, want := range map[int64]string{-1: "0 bytes", 1: "1 byte", 999: "999 bytes", 1000: "1 KB", 999_499: "999 KB", 999_500: "1.0 MB", 9_949_999: "9.9 MB", 9_950_000: "10 MB", 163_000_000: "163 MB", 4_600_000_000: "4.6 GB", 46e9: "46 GB"} {
		if got := size(n); got != want {
			t.Errorf("%d: %q, want %q", n, got, want)
		}
	}
	for seconds, want := range map[float64]string{0.2: "under a second", 1: "1 second", 59.4: "59 seconds", 59.5: "1 minute", 252: "4 minutes"} {
		if got := took(seconds); got != want {
			t.Errorf("%v: %q, want %q", seconds, got, want)
		}
	}
	for in, want := range map[string]string{
		"a\nb\tc": "a b c", "\x1b[1mx": "?[1mx", "a\u00a0b\u202fc": "a b c", "\xff": "?", "a\u200db": "a?b", "  x  ": "x", "abcdefghijkl": "abcdefghi…", "a_b": "a_b",
	} {
		if got := Clean(in, 10); got != want {
			t.Errorf("%q: %q, want %q", in, got, want)
		}
	}
}

func TestDecode(t *testing.T) {
	s := fine().Status
	b, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	got, err := Decode(b)
	if again, _ := json.Marshal(got); err != nil || string(again) != string(b) {
		t.Errorf("%+v, %v", got, err)
	}
	const watched = `{"version":1,"newest":{"backup_id":"b"},"onedrive":{"state":"%s","sync":{"can_answer":true,"waited_s":600,"looked_at":"2025-10-15T07:30:00Z",
		"all":{"verdict":"slow","class":"quota","files":9,"waiting":%d},"backups":[{"backup_id":"b","uploaded":{"at":"2025-10-15T01:00:00Z"}}]}}}`
	for waiting, since := range map[int]time.Time{0: now.Add(-6*time.Hour - 30*time.Minute), 2: now.Add(-10 * time.Minute)} {
		got, err := Decode(fmt.Appendf(nil, watched, "pending", waiting))
		if o := got.OneDrive; err != nil || o.Verdict != "slow" || o.Class != "quota" || o.Files != 9 || o.Waiting != waiting || !o.Since.Equal(since) {
			t.Errorf("%+v, %v", o, err)
		}
	}
	if _, err := Decode([]byte(`{"version":2,"activity":{}}`)); err == nil {
		t.Error("another version was understood")
	}
	if _, err := Decode([]byte(`{"version":2}`)); !errors.Is(err, ErrNewer) {
		t.Error(err)
	}
	for _, bad := range []string{"", "{}", "null", "[]", `{"version":"1"}`} {
		if s, err := Decode([]byte(bad)); err == nil || errors.Is(err, ErrNewer) {
			t.Errorf("%q: %+v, %v", bad, s, err)
		}
	}
}

func FuzzDecode(f *testing.F) {
	b, _ := json.Marshal(fine().Status)
	f.Add(b, int64(0))
	f.Add([]byte(`{"version":1,"run":{"total_bytes":1,"done_bytes":-9},"activity":"running","problems":[{"text":"\u0000"}]}`), int64(1e9))
	f.Fuzz(func(t *testing.T, b []byte, unix int64) {
		st, err := Decode(b)
		if err != nil {
			return
		}
		at := time.Unix(unix%1e11, 0).UTC()
		m := Build(State{Loaded: true, Status: st, Can: fine().Can}, at)
		for _, r := range m.Rows {
			if strings.ContainsFunc(r.Label, unicode.IsControl) || !utf8.ValidString(r.Label) {
				t.Errorf("%q", r.Label)
			}
		}
		if m.Icon == Proven && !green(State{Loaded: true, Status: st}, at) {
			t.Error("green")
		}
	})
}
