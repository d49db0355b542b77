package cli

import (
	"bytes"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"maia-dr/engine"
	"maia-dr/engine/onedrive"
	"maia-dr/engine/state"
)

var (
	metaLine   = regexp.MustCompile(`^# (HELP|TYPE) ([a-z_]+) (.+)$`)
	sampleLine = regexp.MustCompile(`^([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)+)\})? (\S+)$`)
)

// parseMetrics reads the text format strictly: each family has one HELP, then one TYPE, then its samples together, none of
// them twice. It returns the samples' values.
func parseMetrics(text string) (map[string]float64, error) {
	out := map[string]float64{}
	seen := map[string]bool{}
	family, typed := "", false
	if !strings.HasSuffix(text, "\n") {
		return nil, fmt.Errorf("the last line has no end")
	}
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		bad := func(why string) error { return fmt.Errorf("line %d: %s: %q", i+1, why, line) }
		if m := metaLine.FindStringSubmatch(line); m != nil {
			switch {
			case m[1] == "HELP" && !seen[m[2]]:
				family, typed, seen[m[2]] = m[2], false, true
			case m[1] == "TYPE" && m[2] == family && !typed && m[3] == "gauge":
				typed = true
			default:
				return nil, bad("out of place")
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(line)
		if m == nil || strings.HasSuffix(m[2], ",") {
			return nil, bad("no sample")
		}
		if m[1] != family || !typed {
			return nil, bad("not of the family above")
		}
		v, err := strconv.ParseFloat(m[3], 64)
		if err != nil {
			return nil, bad("no number")
		}
		key := strings.TrimSuffix(line, " "+m[3])
		if _, twice := out[key]; twice {
			return nil, bad("twice")
		}
		out[key] = v
	}
	return out, nil
}

func metricsOf(t *testing.T, s *engine.Status) map[string]float64 {
	t.Helper()
	var b bytes.Buffer
	writeMetrics(&b, statusMetrics(s, "1.0\" \\ \n"))
	m, err := parseMetrics(b.String())
	if err != nil {
		t.Fatalf("%v\n%s", err, b.String())
	}
	return m
}

// TestMetrics: what is known is a number, what is not has no sample, and all of it is in the format.
func TestMetrics(t *testing.T) {
	t.Parallel()
	at := time.Date(2025, 10, 20, 3, 0, 0, 500e6, time.UTC)
	s := &engine.Status{
		Overall: engine.OverallAttention, Activity: state.Running, Backups: 3, TotalBytes: 4_999_999_999,
		LastBackup: &state.BackupResult{Seconds: 12.25},
		Newest:     &engine.BackupInfo{CreatedAt: at, StoredBytes: 7, SourceBytes: 9, Files: 2, Vault: true},
		OneDrive: engine.OneDriveStatus{Path: "/x", State: "uploading", Sync: &engine.SyncStatus{
			CanAnswer: true, All: onedrive.Judgement{Waiting: 4, WaitingBytes: 400}, WaitedSeconds: 61}},
		Restore:  engine.RestoreStatus{Proven: true, DrillsRun: 5, DrillsPassed: 4, LastFull: &state.Drill{At: at, Passed: true, RestoreSeconds: 3.5}},
		Problems: []state.Problem{{Code: "b"}, {Code: "a\"\\\n"}, {Code: "b"}},
	}
	got := metricsOf(t, s)
	for name, want := range map[string]float64{
		`maia_dr_info{version="1.0\" \\ \n"}`:     1,
		"maia_dr_attention":                       1,
		"maia_dr_run_active":                      1,
		"maia_dr_repository_bytes":                4_999_999_999,
		"maia_dr_backup_timestamp_seconds":        1760929200.5,
		"maia_dr_backup_duration_seconds":         12.25,
		"maia_dr_backup_vault":                    1,
		"maia_dr_upload_waiting_files":            4,
		"maia_dr_upload_waiting_seconds":          61,
		`maia_dr_upload_state{state="uploading"}`: 1,
		`maia_dr_upload_state{state="pending"}`:   0,
		`maia_dr_problems{code="b"}`:              2,
		`maia_dr_problems{code="a\"\\\n"}`:        1,
		"maia_dr_restore_proven":                  1,
		"maia_dr_drills_passed":                   4,
		"maia_dr_full_drill_restore_seconds":      3.5,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v, %v; want %v", name, v, ok, want)
		}
	}
	empty := metricsOf(t, &engine.Status{Overall: engine.OverallFine, OneDrive: engine.OneDriveStatus{State: "unknown"}})
	for name := range empty {
		for _, unknown := range []string{"maia_dr_backup", "maia_dr_repository", "maia_dr_full_drill", "maia_dr_upload_waiting"} {
			if strings.HasPrefix(name, unknown) {
				t.Errorf("of a machine without a backup: %s", name)
			}
		}
	}
	if empty[`maia_dr_upload_state{state="unknown"}`] != 1 || empty["maia_dr_restore_proven"] != 0 {
		t.Errorf("%v", empty)
	}
	for _, bad := range []string{"x 1\n", "# HELP x y\nx 1\n", "# HELP x y\n# TYPE x gauge\nx 1\nx 1\n", "# HELP x y\n# TYPE x gauge\nx one\n", "# HELP x y\n# TYPE x gauge\nx{a=\"b} 1\n", "# HELP x y\n# TYPE x gauge\nx 1"} {
		if _, err := parseMetrics(bad); err == nil {
			t.Errorf("the test's own parser takes %q", bad)
		}
	}
}
