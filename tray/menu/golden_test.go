package menu

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files")

// now is a Wednesday, 09:30 in the zone of the tests.
var now = time.Date(2025, 10, 15, 9, 30, 0, 0, time.FixedZone("test", 2*3600))

// fine is the state of somebody who has nothing to worry about.
func fine() State {
	drill := &Drilled{At: now.Add(-70 * time.Hour), Passed: true, RestoreSeconds: 252}
	s := State{
		Loaded: true, Version: "0.1.0", Can: Capabilities{Terminal: true, Report: true, Doctor: true, Schedule: true, OneDrive: true},
		Schedule: Timetable{Known: true, Daily: true, AtLogin: true, Hour: 3},
		Status: Status{
			Version: 1, Activity: "idle", Backups: 9, StateDir: "/state", LogFile: "/state/log/maia-dr.log", MaiaRoot: "/Users/a/git/maia",
			LastBackup: &Result{BackupID: "full_20251015_010012", FinishedAt: now.Add(-6*time.Hour - 28*time.Minute), Seconds: 41.2, StoredBytes: 3_812_000},
			Newest:     &Newest{BackupID: "full_20251015_010012", CreatedAt: now.Add(-6*time.Hour - 29*time.Minute), StoredBytes: 3_812_000},
			OneDrive:   Sync{State: "client_uploaded", Verdict: "done", Path: "/Users/a/OneDrive", Files: 14, Since: now.Add(-6 * time.Hour)},
			Restore:    Proof{Proven: true, LastFull: drill},
		},
	}
	for i := range 5 {
		at := now.Add(-6*time.Hour - 29*time.Minute - time.Duration(i)*24*time.Hour)
		id := at.UTC().Format("full_20060102_150405")
		s.Recent = append(s.Recent, Backup{BackupID: id, CreatedAt: at, Path: "/Users/a/OneDrive/MaiaBackups/" + id})
	}
	return s
}

func runs(s *State, kind, phase string, done, total int64) {
	s.Status.Activity = "running"
	s.Status.Run = &Run{Kind: kind, StartedAt: now.Add(-time.Minute), Phase: phase, DoneBytes: done, TotalBytes: total, UpdatedAt: now}
}

func never(s *State) {
	s.Status.Newest, s.Status.LastBackup, s.Recent, s.Status.Backups = nil, nil, nil, 0
	s.Status.Restore = Proof{Why: "never"}
	s.Status.OneDrive = Sync{State: "unknown", Path: s.Status.OneDrive.Path}
}

func trouble(code, text string) Trouble { return Trouble{code, text, "a hint"} }

func waiting(s *State, state, verdict, class string) {
	s.Status.OneDrive = Sync{State: state, Verdict: verdict, Class: class, Path: "/Users/a/OneDrive", Files: 14, Waiting: 11, Since: now.Add(-6*time.Hour - 28*time.Minute)}
}

func failing(s *State, code, text string) {
	s.Status.LastFailure = &Failure{At: now.Add(-20 * time.Minute), Code: code, Error: text}
	s.Status.Problems = append(s.Status.Problems, trouble(code, "the last backup failed: "+text))
}

// states are all that have a golden file.
var states = map[string]struct {
	icon   Icon
	change func(*State)
}{
	"starting": {Neutral, func(s *State) { *s = State{Can: s.Can, Version: s.Version} }},
	"never_run": {SetUp, func(s *State) {
		never(s)
		s.Status.Problems = []Trouble{trouble("no_backup", "there is no backup yet")}
	}},
	"fine":        {Proven, func(*State) {}},
	"running":     {Running(0.42), func(s *State) { runs(s, "backup", "capture", 42, 100); s.Own, s.BytesPerSecond = true, 0.4 }},
	"first_run":   {Running(0), func(s *State) { never(s); runs(s, "backup", "scan", 0, 0); s.Own = true }},
	"uploading":   {Uploading, func(s *State) { waiting(s, "uploading", "progressing", "") }},
	"waiting":     {Uploading, func(s *State) { waiting(s, "pending", "progressing", "") }},
	"slow":        {Attention, func(s *State) { waiting(s, "uploading", "slow", "") }},
	"stuck":       {Attention, func(s *State) { waiting(s, "pending", "stuck", "") }},
	"failed":      {Failed, func(s *State) { failing(s, "disk_full", "back up: write chunk: no space left on device") }},
	"failed_else": {Failed, func(s *State) { failing(s, "failed", "back up: /Users/a/x\x1b[31m: strange") }},
	"interrupted": {Attention, func(s *State) {
		s.Status.Activity, s.Status.Run = "interrupted", &Run{Kind: "backup", StartedAt: now.Add(-5 * time.Hour)}
		s.Status.Problems = []Trouble{trouble("interrupted", "the backup begun 15 Oct 04:30 never reached its end")}
	}},
	"overdue": {Overdue, func(s *State) {
		s.Status.Newest.CreatedAt, s.Status.Overdue = now.Add(-31*time.Hour), true
		s.Status.Problems = []Trouble{trouble("overdue", "the newest complete backup is 31 hours old")}
	}},
	"busy_elsewhere": {Running(0.7), func(s *State) { runs(s, "drill", "compare", 70, 100) }},
	"no_password": {Attention, func(s *State) {
		s.Status.Problems = []Trouble{trouble("vault_missing", "there is no vault password, so 7 files are not in the backup")}
	}},
	"no_folder": {Attention, func(s *State) {
		s.Status.OneDrive = Sync{State: "unknown"}
		s.Status.Newest, s.Status.Backups, s.Recent = nil, 0, nil
		s.Status.Problems = []Trouble{trouble("no_onedrive_folder", "find the OneDrive folder: no OneDrive folder")}
	}},
	"drill_failed": {Attention, func(s *State) {
		s.Status.Restore = Proof{Why: "failed", LastFull: &Drilled{At: now.Add(-2 * time.Hour)}}
		s.Status.Problems = []Trouble{trouble("drill_failed", "the last full drill, of full_20251015_010012, found 3 problems")}
	}},
	"newer_format": {Attention, func(s *State) {
		s.Status.Newest, s.Status.Backups, s.Recent = nil, 0, nil
		s.Status.OneDrive.State = "unknown"
		s.Status.Problems = []Trouble{trouble("newer_format", "list the repository: format 2 is newer than this program")}
	}},
	"newer_program": {Attention, func(s *State) { *s = State{Loaded: true, Newer: true, Can: s.Can, Version: s.Version} }},
	"unreadable": {Attention, func(s *State) {
		*s = State{Loaded: true, Failure: "read status: it is damaged", Can: s.Can, Version: s.Version}
	}},
	"plain_folder": {Neutral, func(s *State) { s.Status.OneDrive = Sync{State: "local_only", Path: "/home/a/OneDrive"} }},
	"unproven":     {Neutral, func(s *State) { s.Status.Restore = Proof{Why: "light_only"} }},
	"in_the_cloud": {Proven, func(s *State) { s.Status.OneDrive.State = "cloud_verified" }},
	"paused":       {Paused, func(s *State) { s.PausedUntil = now.Add(40 * time.Minute) }},
	"no_answer":    {Attention, func(s *State) { s.AskedAt = now.Add(-7 * time.Minute) }},
	"daily_off":    {Proven, func(s *State) { s.Schedule.Daily = false }},
	"muted": {Neutral, func(s *State) {
		s.Status.Problems = []Trouble{trouble("drill_slow", "x")}
		s.Muted = map[string]time.Time{"drill_slow": now.Add(6 * 24 * time.Hour)}
	}},
	"many_problems": {Attention, func(s *State) {
		for name := range strings.FieldsSeq("a b c d e f g h") {
			s.Status.Problems = append(s.Status.Problems, trouble("foreign_file", name+" in the repository does not belong there; it is kept"))
		}
	}},
}

func init() {
	for class := range blockedBy {
		states["blocked_"+class] = struct {
			icon   Icon
			change func(*State)
		}{Attention, func(s *State) { waiting(s, "pending", "blocked", class) }}
	}
}

func state(name string) State {
	s := fine()
	states[name].change(&s)
	return s
}

func TestGolden(t *testing.T) {
	for name, want := range states {
		t.Run(name, func(t *testing.T) {
			m := Build(state(name), now)
			if m.Icon != want.icon {
				t.Errorf("the icon is %s, want %s", m.Icon, want.icon)
			}
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(m.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			golden, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if m.String() != string(golden) {
				t.Errorf("got\n%s\nwant\n%s", m, golden)
			}
		})
	}
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) != len(states) {
		t.Errorf("%d golden files for %d states, %v", len(files), len(states), err)
	}
}
