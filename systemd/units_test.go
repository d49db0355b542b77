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

const label = "com.maia.disaster-recovery"

// awkward is a folder name of which every character means something to somebody, and all may be in a path; systemd runs
// no program below the latter.
const (
	awkward = "a b%h$HOME`;{}é$$"
	worse   = awkward + "\"'\\"
)

func job(program string) schedule.Job {
	return schedule.Job{Label: label, Description: "Back up Maia into OneDrive: 100 %", Background: true,
		Program: []string{program, "backup", "--scheduled", "--maia-root", "/home/kim/" + worse},
		At:      []schedule.Clock{{Hour: 3}, {Hour: 9}, {Hour: 22, Minute: 30}}}
}

// fakeProgram makes a program in a folder with an awkward name.
func fakeProgram(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), awkward)
	path := filepath.Join(dir, "maia-dr")
	if err := os.Mkdir(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}

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

func TestUnits(t *testing.T) {
	j := job("/opt/maia-dr")
	service, err := Service(j)
	if err != nil {
		t.Fatal(err)
	}
	timer, err := Timer(j)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"SuccessExitStatus=3 4\n", "Type=oneshot\n", "100 %%\n"} {
		if !strings.Contains(string(service), want) {
			t.Errorf("the service lacks %q:\n%s", want, service)
		}
	}
	for _, want := range []string{"Persistent=true\n", "OnCalendar=*-*-* 22:30:00\n", "WantedBy=timers.target\n"} {
		if !strings.Contains(string(timer), want) {
			t.Errorf("the timer lacks %q:\n%s", want, timer)
		}
	}
	if got := program(service); !slices.Equal(got, j.Program) {
		t.Errorf("%q, want %q", got, j.Program)
	}
	if got := times(timer); !slices.Equal(got, j.At) {
		t.Errorf("%v", got)
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

func TestUnitsRefuse(t *testing.T) {
	for name, spoil := range map[string]func(*schedule.Job){
		"no label": func(j *schedule.Job) { j.Label = "" }, "a path": func(j *schedule.Job) { j.Label = "../x" }, "an instance": func(j *schedule.Job) { j.Label = "a@b" },
		"no program": func(j *schedule.Job) { j.Program = nil }, "relative": func(j *schedule.Job) { j.Program = []string{"maia-dr"} },
		"newline": func(j *schedule.Job) { j.Program = append(j.Program, "x\nExecStartPre=/bin/sh") }, "description": func(j *schedule.Job) { j.Description = "x\n[Service]" },
		"not UTF-8": func(j *schedule.Job) { j.Program = append(j.Program, "\xff") },
	} {
		j := job("/opt/maia-dr")
		spoil(&j)
		for kind, make := range map[string]func(schedule.Job) ([]byte, error){"service": Service, "timer": Timer, "autostart": Autostart} {
			if b, err := make(j); err == nil {
				t.Errorf("%s, %s: %s", name, kind, b)
			}
		}
	}
	if b, err := Service(job("/opt/" + worse + "/maia-dr")); err == nil {
		t.Errorf("%s", b)
	}
	for _, line := range []string{"ExecStart=/bin/x", `ExecStart="/bin/x`, `ExecStart="/bin/x" y`, "ExecStart=", "", `Exec="\`} {
		if got := program([]byte(line + "\n")); got != nil {
			t.Errorf("%s: %q", line, got)
		}
	}
}
