package tray_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/tray/menu"
)

// look is what the scripted program shows.
type look struct {
	Status menu.Status
	Recent []menu.Backup
}

var at = time.Date(2025, 10, 15, 9, 30, 0, 0, time.UTC)

// fine is a status in which everything is proven.
func fine() look {
	var l look
	l.Status = menu.Status{
		Version: 1, Activity: "idle", Backups: 9, LogFile: "/log",
		LastBackup: &menu.Result{BackupID: "b", FinishedAt: at.Add(-6 * time.Hour), Seconds: 40, StoredBytes: 3e6},
		Newest:     &menu.Newest{BackupID: "b", CreatedAt: at.Add(-6 * time.Hour), StoredBytes: 3e6},
		Restore:    menu.Proof{Proven: true, LastFull: &menu.Drilled{At: at.Add(-70 * time.Hour), Passed: true, RestoreSeconds: 200}},
		OneDrive:   menu.Sync{State: "client_uploaded", Path: "/One_Drive", Watch: &menu.Watch{CanAnswer: true, LookedAt: at, All: menu.Judgement{Verdict: "done", Files: 14}}},
	}
	l.Recent = []menu.Backup{{BackupID: "b", CreatedAt: at.Add(-6 * time.Hour), Path: "/b"}, {BackupID: "a", CreatedAt: at.Add(-30 * time.Hour), Path: "/a"}}
	return l
}

func waiting(l *look, state string, j menu.Judgement) {
	j.Files, j.Waiting = 14, 11
	l.Status.OneDrive.State = state
	l.Status.OneDrive.Watch = &menu.Watch{CanAnswer: true, LookedAt: at, WaitedSeconds: 7200, All: j}
}

func problem(l *look, code, text string) {
	l.Status.Problems = append(l.Status.Problems, menu.Trouble{Code: code, Text: text, Hint: "do something about it"})
}

func run(l *look, kind string, done int64) {
	l.Status.Activity = "running"
	l.Status.Run = &menu.Run{Kind: kind, PID: 1, StartedAt: at.Add(-time.Minute), Phase: "capture", DoneBytes: done, TotalBytes: 100, UpdatedAt: at}
}

// shownStates are the states with what the owner is told when they come after each other.
var shownStates = []struct {
	name   string
	icon   menu.Icon
	change func(*look)
	told   string
}{
	{"fine", menu.Proven, func(*look) {}, ""},
	{"never run", menu.SetUp, func(l *look) {
		l.Status = menu.Status{Version: 1, Activity: "idle", OneDrive: menu.Sync{State: "unknown", Path: "/o"}, Restore: menu.Proof{Why: "never"}}
		l.Recent = nil
		problem(l, "no_backup", "there is no backup yet")
	}, ""},
	{"running", menu.Running(0.42), func(l *look) { run(l, "backup", 42) }, ""},
	{"further", menu.Running(0.95), func(l *look) { run(l, "backup", 95) }, ""},
	{"busy elsewhere", menu.Running(0.2), func(l *look) { run(l, "drill", 20) }, ""},
	{"uploading", menu.Uploading, func(l *look) { waiting(l, "uploading", menu.Judgement{Verdict: "progressing"}) }, ""},
	{"slow", menu.Attention, func(l *look) { waiting(l, "uploading", menu.Judgement{Verdict: "slow"}) }, "OneDrive is slow to upload the backup"},
	{"stuck", menu.Attention, func(l *look) { waiting(l, "pending", menu.Judgement{Verdict: "stuck"}) }, ""},
	{"blocked", menu.Attention, func(l *look) { waiting(l, "pending", menu.Judgement{Verdict: "blocked", Class: "quota"}) }, "OneDrive does not upload the backup"},
	{"uploaded", menu.Proven, func(*look) {}, "The backup is uploaded after all"},
	{"failed", menu.Failed, func(l *look) {
		l.Status.LastFailure = &menu.Failure{At: at.Add(-time.Minute), Code: "disk_full", Error: "back up: no space", Hint: "free some space"}
		problem(l, "disk_full", "the last backup failed: back up: no space")
	}, "The backup failed"},
	{"interrupted", menu.Attention, func(l *look) {
		l.Status.LastFailure = &menu.Failure{At: at, Code: "disk_full", Error: "x"}
		run(l, "backup", 1)
		l.Status.Activity = "interrupted"
		l.Status.LastFailure = nil
		problem(l, "interrupted", "the backup begun 09:29 never reached its end")
	}, "Backups work again"},
	{"overdue", menu.Overdue, func(l *look) {
		l.Status.Newest.CreatedAt, l.Status.Overdue = at.Add(-31*time.Hour), true
		problem(l, "overdue", "the newest complete backup is 31 hours old")
	}, "No backup for 31 hours"},
	{"no password", menu.Attention, func(l *look) { problem(l, "vault_missing", "there is no vault password") }, "Backups work again"},
	{"no folder", menu.Attention, func(l *look) {
		l.Status.OneDrive, l.Status.Newest, l.Status.Backups, l.Recent = menu.Sync{State: "unknown"}, nil, 0, nil
		problem(l, "no_onedrive_folder", "no OneDrive folder")
	}, ""},
	{"drill failed", menu.Attention, func(l *look) {
		l.Status.Restore = menu.Proof{Why: "failed", LastFull: &menu.Drilled{At: at.Add(-time.Hour)}}
		problem(l, "drill_failed", "the last full drill found 3 problems")
	}, "A rehearsed restore found problems"},
	{"newer format", menu.Attention, func(l *look) {
		l.Status.OneDrive.State, l.Status.Newest, l.Status.Backups, l.Recent = "unknown", nil, 0, nil
		problem(l, "newer_format", "format 2 is newer than this program")
	}, "Rehearsed restores work again"},
	{"plain folder", menu.Neutral, func(l *look) { l.Status.OneDrive = menu.Sync{State: "local_only", Path: "/o"} }, ""},
	{"underscores", menu.Attention, func(l *look) { problem(l, "x", "my_disk__is gone\x1b[0m\x00") }, ""},
}

// Every state comes over the bus as package menu has it: icon, tooltip, every row. And it is told of once, if at all.
func TestStatesOnTheBus(t *testing.T) {
	d := startDesktop(t)
	d.startPanel()
	state := filepath.Join(d.dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(d.dir, "clock"), at.Format(time.RFC3339))
	put := func(l look) {
		b, err := json.Marshal(l)
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(state, "status.json"), string(b))
	}
	put(fine())
	a := d.start([]string{"MAIA_TEST_LOOK=" + state, "MAIA_TEST_CLOCK=" + filepath.Join(d.dir, "clock"), "HOME=" + d.dir})
	want := []string{"Maia Recovery is in the menu bar"}
	for _, s := range shownStates {
		l := fine()
		s.change(&l)
		put(l)
		b, err := json.Marshal(l.Status)
		if err != nil {
			t.Fatal(err)
		}
		status, err := menu.Decode(b)
		if err != nil {
			t.Fatal(err)
		}
		m := menu.Build(menu.State{
			Loaded: true, Status: status, Recent: l.Recent, Version: "0.1.0-test", Schedule: menu.Timetable{Known: true, Daily: true, Hour: 3},
			Can: menu.Capabilities{Terminal: true, Report: true, Doctor: true, Schedule: true, OneDrive: true},
		}, at)
		if m.Icon != s.icon {
			t.Errorf("%s: the icon is %s, want %s", s.name, m.Icon, s.icon)
		}
		got := ""
		d.wait(s.name+" is shown", func() bool { got = a.text(); return got == m.String() })
		if s.told != "" {
			want = append(want, s.told)
		}
		d.wait("all is told of "+s.name, func() bool { return len(d.titles()) >= len(want) })
		if told := d.titles(); strings.Join(told, "|") != strings.Join(want, "|") {
			t.Fatalf("%s: told %q, want %q", s.name, told, want)
		}
	}
	a.click("Quit")
	if err := a.ends(); err != nil {
		t.Errorf("quit: %v\n%s", err, a.out.String())
	}
}
