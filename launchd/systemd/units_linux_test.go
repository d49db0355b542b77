package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/schedule"
)

// systemd-analyze finds nothing to complain of, and it does complain where there is something.
func TestVerify(t *testing.T) {
	dir := t.TempDir()
	verify := func(change func(string) string) string {
		t.Helper()
		j := job(fakeProgram(t))
		service, err := Service(j)
		if err != nil {
			t.Fatal(err)
		}
		timer, err := Timer(j)
		if err != nil {
			t.Fatal(err)
		}
		for suffix, b := range map[string][]byte{".service": service, ".timer": timer} {
			if err := os.WriteFile(filepath.Join(dir, label+suffix), []byte(change(string(b))), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		cmd := exec.CommandContext(t.Context(), "systemd-analyze", "--user", "--man=no", "verify", filepath.Join(dir, label+".service"), filepath.Join(dir, label+".timer"))
		cmd.Env = append(os.Environ(), "XDG_RUNTIME_DIR="+dir, "HOME="+dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			return fmt.Sprintf("%v: %s", err, out)
		}
		return string(out)
	}
	if out := verify(func(s string) string { return s }); out != "" {
		t.Errorf("%s", out)
	}
	for _, c := range [][2]string{{"Nice=5", "Nicely=5"}, {"OnCalendar=*-*-* 03:00:00", "OnCalendar=daily at three"}, {"/maia-dr\"", "/gone\""}} {
		if out := verify(func(s string) string { return strings.Replace(s, c[0], c[1], 1) }); out == "" {
			t.Errorf("%q for %q: no complaint", c[1], c[0])
		}
	}
}

// The timer's next run by systemd is the plan's own, in zones with daylight saving. In the hour that is skipped they
// need not agree: the next time of day catches up.
func TestCalendar(t *testing.T) {
	next := regexp.MustCompile(`(?m)(?:Next elapse|Iter\. #\d+): \w+ (\S+ \S+) (\S+)$`)
	for _, name := range []string{"Europe/Berlin", "America/New_York", "Asia/Kolkata", "UTC"} {
		zone, err := time.LoadLocation(name)
		if err != nil {
			t.Fatal(err)
		}
		for _, base := range []string{"2026-03-07 22:00:00", "2026-03-28 22:00:00", "2026-10-24 22:00:00", "2026-10-31 22:00:00", "2026-12-31 02:59:59", "2028-02-28 12:00:00"} {
			for _, c := range []schedule.Clock{{Hour: 3}, {Hour: 22, Minute: 30}, {Hour: 0, Minute: 5}} {
				if c.Hour == 3 && name == "America/New_York" && base == "2026-03-07 22:00:00" {
					c.Hour = 4
				}
				cmd := exec.CommandContext(t.Context(), "systemd-analyze", "calendar", "--iterations=3", "--base-time="+base, Calendar(c))
				cmd.Env = append(os.Environ(), "TZ="+name)
				out, err := cmd.Output()
				if err != nil {
					t.Fatal(err)
				}
				var theirs []string
				for _, m := range next.FindAllStringSubmatch(string(out), -1) {
					theirs = append(theirs, m[1])
				}
				var plans []string
				now, err := time.ParseInLocation(time.DateTime, base, zone)
				if err != nil {
					t.Fatal(err)
				}
				for range 3 {
					now = schedule.Plan{At: c, Zone: zone}.NextStart(now)
					plans = append(plans, now.Format(time.DateTime))
				}
				if !slices.Equal(theirs, plans) {
					t.Errorf("%s from %s, %v: systemd says %v, the plan %v", name, base, c, theirs, plans)
				}
			}
		}
	}
}

func TestAutostart(t *testing.T) {
	j := schedule.Job{Label: "com.maia.recovery-menu", Description: "Backups of Maia at a glance", Program: []string{fakeProgram(t), "tray", "--maia-root", worse}}
	b, err := Autostart(j)
	if err != nil {
		t.Fatal(err)
	}
	if got := program(b); !slices.Equal(got, j.Program) {
		t.Errorf("%q, want %q", got, j.Program)
	}
	path := filepath.Join(t.TempDir(), j.Label+".desktop")
	if err := os.WriteFile(path, b, 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.CommandContext(t.Context(), "desktop-file-validate", path).CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("%v: %s\n%s", err, out, b)
	}
}
