package systemd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

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
