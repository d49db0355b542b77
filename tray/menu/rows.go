package menu

import (
	"fmt"
	"path/filepath"
)

// recent shows the newest backups, each with what can be done with it.
func (b *builder) recent() {
	if len(b.s.Recent) == 0 {
		return
	}
	b.m.Rows[Recent] = Row{Label: "Recent Backups", Enabled: true}
	for i, r := range b.s.Recent[:min(len(b.s.Recent), MaxRecent)] {
		slot := RecentBackup(i)
		b.m.Rows[slot] = Row{Label: onDay(b.now, r.CreatedAt) + ", " + ago(b.now, r.CreatedAt), Enabled: true}
		if r.Path != "" {
			b.click(slot+recentOpen, "Open Its Folder", Action{DoOpen, r.Path})
		}
		b.click(slot+recentVerify, "Check Its Files", Action{InTerminal, "verify " + r.BackupID})
		b.click(slot+recentRestore, "Restore…", Action{InTerminal, "restore " + r.BackupID})
	}
}

// places shows what can be looked at.
func (b *builder) places() {
	st := &b.s.Status
	b.m.Rows[OpenFolder] = Row{Label: "Open Backup Folder", Enabled: st.OneDrive.Path != "",
		Action: Action{DoOpen, filepath.Join(st.OneDrive.Path, "MaiaBackups")}}
	if st.OneDrive.Path == "" || st.Backups == 0 {
		b.m.Rows[OpenFolder].Action, b.m.Rows[OpenFolder].Enabled = Action{}, false
	}
	if b.s.Can.Report {
		b.click(Report, "Show Report", Action{InBackground, "report --open"})
	}
	b.m.Rows[Log] = Row{Label: "Open Log", Enabled: st.LogFile != "", Action: Action{DoOpen, st.LogFile}}
}

// settings shows what can be switched.
func (b *builder) settings() {
	if t := b.s.Schedule; b.s.Can.Schedule && t.Known {
		b.tick(Daily, fmt.Sprintf("Back Up Daily at %02d:%02d", t.Hour, t.Minute), t.Daily, "daily")
		b.tick(AtLogin, "Start at Login", t.AtLogin, "login")
	}
	if b.paused() {
		b.m.Rows[Pause] = Row{Label: "Backups Are Paused Until " + sentence(clock(b.now, b.s.PausedUntil)), Enabled: true}
		b.click(Resume, "Resume", Action{Verb: DoPause})
	} else {
		b.m.Rows[Pause] = Row{Label: "Pause Backups", Enabled: true}
	}
	b.click(PauseHour, "For 1 Hour", Action{DoPause, "hour"})
	b.click(PauseTomorrow, "Until Tomorrow", Action{DoPause, "tomorrow"})
	b.muting()
	b.click(Password, "Set Vault Password…", setPassword)
	if b.s.Can.Doctor {
		b.click(Check, "Check Everything", Action{InTerminal, "doctor"})
	}
	b.click(About, "About Maia Recovery "+Clean(b.s.Version, maxText), Action{InTerminal, "version"})
	b.click(Quit, "Quit", Action{Verb: DoQuit})
	if !b.s.Can.Terminal {
		b.info(About, "Maia Recovery "+Clean(b.s.Version, maxText), Action{})
	}
}

// tick shows a row that switches something on and off.
func (b *builder) tick(slot Slot, label string, on bool, what string) {
	to := "on"
	if on {
		to = "off"
	}
	b.m.Rows[slot] = Row{Label: label, Enabled: true, Ticked: on, Action: Action{DoSchedule, what + " " + to}}
}

// muting offers for each kind of problem not to be told of it for a week.
func (b *builder) muting() {
	seen := map[string]bool{}
	for _, p := range b.problems {
		if seen[p.key] || len(seen) == MaxProblems || p.key == "newer_program" {
			continue
		}
		slot := Muting(len(seen))
		seen[p.key] = true
		row := Row{Label: p.text, Enabled: true, Action: Action{DoMute, p.key}}
		if !p.muted.IsZero() {
			row.Ticked, row.Action = true, Action{DoUnmute, p.key}
		}
		b.m.Rows[slot] = row
	}
	if len(seen) > 0 {
		b.m.Rows[Mute] = Row{Label: "Mute a Problem for a Week", Enabled: true}
	}
}
