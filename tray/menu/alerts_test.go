package menu

import (
	"strings"
	"testing"
	"time"
)

func keys(a Alerts) string {
	var out []string
	for _, in := range a.Open {
		k := in.Key
		if in.Muted {
			k += " muted"
		}
		out = append(out, k)
	}
	for _, g := range []Group{Backups, Uploads, Drills} {
		if _, ok := a.Well[g]; ok {
			out = append(out, string(g)+" well")
		}
	}
	return strings.Join(out, ", ")
}

func TestAlert(t *testing.T) {
	for name, want := range map[string]string{
		"fine": "backups well, uploads well, drills well", "starting": "", "unreadable": "", "newer_program": "",
		"never_run": "", "failed": "backup_failed:disk_full, uploads well, drills well", "overdue": "overdue, uploads well, drills well",
		"slow": "sync_late, backups well, drills well", "stuck": "sync_late, backups well, drills well",
		"blocked_quota": "sync_blocked:quota, backups well, drills well", "uploading": "backups well, drills well",
		"plain_folder": "backups well, drills well", "drill_failed": "drill_failed, backups well, uploads well",
		"no_folder": "drills well", "interrupted": "backups well, uploads well, drills well",
	} {
		if got := keys(Alert(state(name), now)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	s := state("failed")
	s.Status.Newest.CreatedAt = now.Add(-40 * time.Hour)
	if got := keys(Alert(s, now)); !strings.HasPrefix(got, "backup_failed:disk_full, ") || strings.Contains(got, "overdue") {
		t.Errorf("two alerts of one thing: %s", got)
	}
	s.Status.LastFailure.Code = "cancelled"
	if got := keys(Alert(s, now)); !strings.HasPrefix(got, "overdue,") {
		t.Error(got)
	}
	for key, name := range map[string]string{FailureKey: "failed", "overdue": "overdue", "sync_slow": "slow", "sync_stuck": "stuck", "sync_blocked": "blocked_quota", "drill_failed": "drill_failed"} {
		s := state(name)
		s.Muted = map[string]time.Time{key: now.Add(time.Hour)}
		if a := Alert(s, now); len(a.Open) != 1 || !a.Open[0].Muted {
			t.Errorf("%s is not muted: %+v", name, a.Open)
		}
		if a := Alert(s, now.Add(time.Hour)); len(a.Open) == 0 || a.Open[0].Muted {
			t.Errorf("%s is muted for ever", name)
		}
	}
	for name := range states {
		for _, in := range Alert(state(name), now).Open {
			if in.Title == "" || !strings.HasSuffix(in.Text, ".") || in.Remedy == "" || in.Group == "" {
				t.Errorf("%s: %+v", name, in)
			}
		}
	}
}
