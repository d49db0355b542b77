package menu

import (
	"fmt"
	"strings"
	"time"
)

// The limits of what may be called green; DESIGN 7 and package engine have the same.
const (
	fresh     = 26 * time.Hour
	provenFor = 8 * 24 * time.Hour
)

// Build returns the menu of a state at a time. The time's zone is the one that times are shown in.
func Build(s State, now time.Time) Menu {
	b := builder{s: &s, now: now, problems: s.problems(now)}
	b.answers()
	b.problemRows()
	b.work()
	b.recent()
	b.places()
	b.settings()
	b.m.Icon = b.icon()
	b.m.Tooltip = b.tooltip()
	return b.m
}

type builder struct {
	s        *State
	now      time.Time
	problems []problem
	m        Menu
}

// info shows a row that only tells something, with a click that tells more where that is possible.
func (b *builder) info(slot Slot, label string, more Action) {
	if more.Verb == InTerminal && !b.s.Can.Terminal {
		more = Action{}
	}
	b.m.Rows[slot] = Row{Label: label, Enabled: more != Action{}, Action: more}
}

// click shows a row that does something.
func (b *builder) click(slot Slot, label string, a Action) {
	if a.Verb == InTerminal && !b.s.Can.Terminal {
		return
	}
	b.m.Rows[slot] = Row{Label: label, Enabled: true, Action: a}
}

func (b *builder) answers() {
	b.info(LastBackup, "Last backup: "+b.lastBackup(), Action{InTerminal, "status"})
	b.info(OneDrive, "OneDrive: "+b.oneDrive(), b.s.lookAtOneDrive())
	b.info(Restore, "Restore: "+b.restore(), Action{InTerminal, "status"})
	if next := b.nextRun(); next != "" {
		b.info(NextRun, "Next backup: "+next, Action{})
	}
}

func (b *builder) unknown() bool { return !b.s.Loaded || b.s.Failure != "" || b.s.Newer }

func (b *builder) lastBackup() string {
	st := &b.s.Status
	switch {
	case !b.s.Loaded:
		return "looking…"
	case b.unknown():
		return "not known"
	case st.Newest == nil && st.Backups == 0 && st.LastBackup == nil:
		return "none yet"
	case st.Newest == nil && st.LastBackup != nil:
		return ago(b.now, st.LastBackup.FinishedAt) + ", but it cannot be found in the OneDrive folder"
	case st.Newest == nil:
		return "none that is complete"
	}
	text := ago(b.now, st.Newest.CreatedAt)
	if b.overdue() {
		text += ", overdue"
	}
	if f := b.s.failure(); f != nil {
		return text + "; the latest attempt failed " + ago(b.now, f.At)
	}
	text += ", " + size(st.Newest.StoredBytes) + " added"
	if l := st.LastBackup; l != nil && l.BackupID == st.Newest.BackupID {
		text += ", took " + took(l.Seconds)
	}
	return text
}

// overdue reports whether there was a complete backup, but none of the last 26 hours. The status may be older than now.
func (b *builder) overdue() bool {
	n := b.s.Status.Newest
	return n != nil && (b.s.Status.Overdue || b.now.Sub(n.CreatedAt) > fresh)
}

// unproven says why a restore is not proven, by the reason the status gives.
var unproven = map[string]string{
	"never":             "it was never tried, in a restore drill",
	"failed":            "the last restore drill failed",
	"light_only":        "only a part of the backup has been tried so far",
	"vault_not_opened":  "the last restore drill could not open the passwords and keys",
	"older_than_8_days": "the last full restore drill is over 8 days old",
	"":                  "it is not known whether it would work",
}

func (b *builder) restore() string {
	r := &b.s.Status.Restore
	switch {
	case !b.s.Loaded:
		return "looking…"
	case b.unknown():
		return "not known"
	case b.proven() && b.s.Status.Newest == nil:
		return "was proven " + ago(b.now, r.LastFull.At) + "; the backups cannot be found now"
	case b.proven():
		return fmt.Sprintf("proven %s, took %s", ago(b.now, r.LastFull.At), took(r.LastFull.RestoreSeconds))
	case r.Proven:
		return "not proven: " + unproven["older_than_8_days"]
	}
	why, ok := unproven[r.Why]
	if !ok {
		why = unproven[""]
	}
	return "not proven: " + why
}

// proven reports whether a full drill of the last 8 days passed.
func (b *builder) proven() bool {
	r := &b.s.Status.Restore
	return r.Proven && r.LastFull != nil && r.LastFull.Passed && b.now.Sub(r.LastFull.At) < provenFor
}

func (b *builder) paused() bool { return b.s.PausedUntil.After(b.now) }

func (b *builder) nextRun() string {
	t := b.s.Schedule
	switch {
	case b.paused():
		return "paused until " + clock(b.now, b.s.PausedUntil)
	case !t.Known:
		return ""
	case !t.Daily:
		return "only when you ask for it"
	case t.Next.After(b.now):
		return "due " + clock(b.now, t.Next)
	}
	y, m, d := b.now.Date()
	next := time.Date(y, m, d, t.Hour, t.Minute, 0, 0, b.now.Location())
	if !next.After(b.now) {
		next = time.Date(y, m, d+1, t.Hour, t.Minute, 0, 0, b.now.Location())
	}
	return "due " + clock(b.now, next)
}

func (b *builder) problemRows() {
	for i, p := range b.problems {
		if i == MaxProblems-1 && len(b.problems) > MaxProblems {
			label := fmt.Sprintf("… and %d more problems", len(b.problems)-i)
			if b.s.Can.Terminal {
				b.click(MoreProblems, label+" – click to see them all", details)
			} else {
				b.info(MoreProblems, label, Action{})
			}
			return
		}
		label := "Problem: " + p.text
		if !p.muted.IsZero() {
			label = fmt.Sprintf("Muted until %s: %s", p.muted.In(b.now.Location()).Format("2 January"), p.text)
		}
		switch {
		case p.action.Verb == DoStart && b.running(),
			p.action.Verb == InTerminal && !b.s.Can.Terminal:
			b.info(Problem(i), label, Action{})
		default:
			b.click(Problem(i), label+" – click to "+p.remedy, p.action)
		}
	}
}

func (b *builder) running() bool { return b.s.Status.Activity == "running" }

// work shows what is being done, or what can be.
func (b *builder) work() {
	if b.running() {
		b.info(Progress, b.progress(), Action{})
		if b.s.Own {
			b.click(Cancel, "Cancel", Action{Verb: DoStop})
		}
	}
	idle := !b.running() && !b.s.Newer
	b.m.Rows[BackUp] = Row{Label: "Back Up Now", Enabled: idle, Action: backUp}
	b.m.Rows[Drill] = Row{Label: "Run Restore Drill", Enabled: idle && b.s.Status.Newest != nil, Action: fullDrill}
	if b.running() && b.s.Own {
		b.m.Rows[BackUp] = Row{}
	}
}

var kinds = map[string]string{
	"backup": "Backup", "drill": "Restore drill", "verify": "Check", "restore": "Restore", "prune": "Removal of old backups",
}

var phases = map[string]string{
	"scan": "looking for changes", "capture": "reading your files", "rebuild_index": "preparing", "verify": "reading it back",
	"publish": "copying to the OneDrive folder", "retention": "removing old backups", "wait": "waiting for OneDrive",
	"plan": "preparing", "read": "reading", "place": "putting files in place", "check": "checking databases",
	"activate": "finishing", "compare": "comparing every file",
}

// progress says what runs, what it does, how much of that is done, and how long that will still take.
func (b *builder) progress() string {
	r := b.s.Status.Run
	if r == nil {
		return "Starting…"
	}
	kind := kinds[r.Kind]
	if kind == "" {
		kind = "Another task"
	}
	if !b.s.Own {
		kind += ", started elsewhere"
	}
	phase := phases[r.Phase]
	if phase == "" {
		phase = "starting"
	}
	text := kind + ": " + phase
	if done := b.done(); done >= 0 {
		text += fmt.Sprintf(", %d %% done", int(done*100))
		if left := b.left(); left > 0 {
			text += ", " + leftText(left)
		}
	}
	return text
}

// done is the fraction of the phase that is done, below 0 where that is not known.
func (b *builder) done() float64 {
	r := b.s.Status.Run
	if r == nil || r.TotalBytes <= 0 || r.DoneBytes < 0 {
		return -1
	}
	return min(float64(r.DoneBytes)/float64(r.TotalBytes), 1)
}

func (b *builder) left() time.Duration {
	r := b.s.Status.Run
	if b.s.BytesPerSecond <= 0 || r.DoneBytes >= r.TotalBytes {
		return 0
	}
	return time.Duration(float64(r.TotalBytes-r.DoneBytes) / b.s.BytesPerSecond * float64(time.Second))
}

func leftText(d time.Duration) string {
	switch {
	case d < time.Minute:
		return "less than a minute left"
	case d > 99*time.Hour:
		return "days left"
	}
	return "about " + span(d+30*time.Second) + " left"
}

func (b *builder) tooltip() string {
	parts := []string{"Maia Recovery"}
	if b.running() {
		parts = append(parts, b.progress())
	}
	if n := b.open(); n > 0 {
		parts = append(parts, plural(n, "problem", "problems"))
	}
	for _, s := range []Slot{LastBackup, OneDrive, Restore} {
		parts = append(parts, b.m.Rows[s].Label)
	}
	return strings.Join(parts, "\n")
}

// open counts the problems that are not muted.
func (b *builder) open() int {
	n := 0
	for _, p := range b.problems {
		if p.muted.IsZero() {
			n++
		}
	}
	return n
}
