package menu

import (
	"strings"
	"time"
)

// Group is what an incident is about. While one of a group is open, the group is not well.
type Group string

// The groups.
const (
	Backups Group = "backups"
	Uploads Group = "uploads"
	Drills  Group = "drills"
)

// Incident is something the owner is told of without having asked.
type Incident struct {
	// Key is the same as long as it is the same incident.
	Key   string
	Group Group
	Title string
	// Text says what happened, Remedy what to do, both as sentences.
	Text, Remedy string
	// Muted: the owner does not want to be told.
	Muted bool
}

// Alerts are what is open, and which groups are known to be well, each with the words for it. A group that is neither
// is not known, which ends no incident and begins none.
type Alerts struct {
	Open []Incident
	Well map[Group]string
	// AsOf is when the look began that found this; zero: now. What others have told since, it did not see.
	AsOf time.Time
}

// Alert returns the alerts of a state.
func Alert(s State, now time.Time) Alerts {
	b := builder{s: &s, now: now, problems: s.problems(now)}
	a := Alerts{Well: map[Group]string{}}
	if b.unknown() {
		return a
	}
	b.backupAlerts(&a)
	b.uploadAlerts(&a)
	b.drillAlerts(&a)
	for i := range a.Open {
		in := &a.Open[i]
		key, _, _ := strings.Cut(in.Key, ":")
		if key == uploadLate {
			key = "sync_" + s.Status.OneDrive.Verdict
		}
		in.Muted = s.Muted[key].After(now)
	}
	return a
}

const (
	uploadLate    = "sync_late"
	uploadBlocked = "sync_blocked"
)

func (b *builder) backupAlerts(a *Alerts) {
	st := &b.s.Status
	if f := b.s.failure(); f != nil {
		k, ok := failures[f.Code]
		if !ok {
			k = known{text: f.Error}
		}
		text, remedy := sentence(Clean(k.text, maxText))+".", "Try again from the menu, or see what to do with: maia-dr status"
		if f.Hint != "" {
			remedy = sentence(f.Hint) + "."
		}
		if !strings.Contains(f.Hint, "earlier backups are untouched") {
			text += " Earlier backups are untouched."
		}
		a.Open = append(a.Open, Incident{Key: FailureKey + ":" + f.Code, Group: Backups, Title: "The backup failed",
			Text: text, Remedy: remedy})
		return
	}
	switch {
	case b.overdue():
		a.Open = append(a.Open, Incident{Key: "overdue", Group: Backups, Title: "No backup for " + span(b.now.Sub(st.Newest.CreatedAt)),
			Text: "The newest complete backup is older than it should be.", Remedy: "Click Back Up Now in the menu, or run: maia-dr backup"})
	case st.Newest != nil:
		a.Well[Backups] = "The newest backup was made " + ago(b.now, st.Newest.CreatedAt) + "."
	}
}

func (b *builder) uploadAlerts(a *Alerts) {
	o := &b.s.Status.OneDrive
	remedy := "See what is known of it with: maia-dr status"
	for _, t := range b.s.Status.Problems {
		if t.Code == "sync_"+o.Verdict && t.Hint != "" {
			remedy = sentence(t.Hint) + "."
		}
	}
	switch {
	case o.Verdict == "blocked":
		a.Open = append(a.Open, Incident{Key: uploadBlocked + ":" + o.Class, Group: Uploads, Title: "OneDrive does not upload the backup",
			Text: sentence(o.why()) + b.waiting() + ".", Remedy: remedy})
	case o.held():
		a.Open = append(a.Open, Incident{Key: uploadLate, Group: Uploads, Title: "OneDrive is slow to upload the backup",
			Text: sentence(o.why()) + b.waiting() + ".", Remedy: remedy})
	case o.uploaded():
		a.Well[Uploads] = "OneDrive " + b.oneDrive() + "."
	}
}

func (b *builder) drillAlerts(a *Alerts) {
	r := &b.s.Status.Restore
	failed := r.LastFull != nil && !r.LastFull.Passed || r.LastLight != nil && !r.LastLight.Passed
	switch {
	case failed:
		a.Open = append(a.Open, Incident{Key: "drill_failed", Group: Drills, Title: "A rehearsed restore found problems",
			Text: "A restore of the newest backups may not bring everything back.", Remedy: "See what to do with: maia-dr status"})
	case r.LastFull != nil || r.LastLight != nil:
		a.Well[Drills] = "The last restore drill passed."
	}
}
