package cli_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"maia-dr/engine/fixture"
)

// TestPager: on a terminal a long answer goes through $PAGER, remarks and colours with it; without one it is simply there.
func TestPager(t *testing.T) {
	t.Parallel()
	base := t.TempDir()
	fix, err := fixture.Make(t.Context(), fixture.Options{Base: filepath.Join(base, "mac"), Seed: 3})
	if err != nil {
		t.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(base, "maia-dr")
	if err := os.Symlink(self, program); err != nil {
		t.Fatal(err)
	}
	command := func(environment []string, args ...string) *exec.Cmd {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		t.Cleanup(cancel)
		cmd := exec.CommandContext(ctx, program, args...)
		cmd.Env = append([]string{"PATH=/usr/bin:/bin", "HOME=" + fix.Home, "TERM=xterm", useTerminal + "=1"}, environment...)
		return cmd
	}
	cmd := command(nil, "backup", "--no-vault", "--maia-root", fix.Root, "--quiet")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, c := range []struct {
		name, pager string
		args        []string
		want        []string
		not         string
	}{
		{"a pager", "sed 's/^/> /'", []string{"list"}, []string{"> BACKUP", "> full_", " in " + fix.OneDrive}, ""},
		{"remarks are in their place", "sed 's/^/> /'", []string{"show", "--files", "*.md"}, []string{"> ", "SYSTEM_STATE.md\n> \n> 3 files, "}, ""},
		{"colours", "sed 's/^/> /'", []string{"find", "CLAUDE.md"}, []string{"\x1b[32mlatest\x1b[0m"}, ""},
		{"no colours", "sed 's/^/> /'", []string{"find", "CLAUDE.md"}, []string{"> ", "latest"}, "\x1b"},
		{"none", "cat", []string{"list"}, []string{"BACKUP"}, "> "},
		{"JSON is for programs", "sed 's/^/> /'", []string{"list", "--json"}, []string{`"backups"`}, "> "},
		{"a pager that leaves at once", "true", []string{"list"}, nil, "full_"},
		{"less writes what fits the screen", "", []string{"find", "CLAUDE.md"}, []string{"CLAUDE.md"}, "(END)"},
	} {
		environment := []string{"PAGER=" + c.pager}
		if c.name == "no colours" {
			environment = append(environment, "NO_COLOR=1")
		}
		cmd := command(environment, c.args...)
		screen := onTerminal(t, cmd, nil)
		if code := cmd.ProcessState.ExitCode(); code != 0 {
			t.Errorf("%s: exit code %d\n%s", c.name, code, screen)
		}
		for _, want := range c.want {
			if !strings.Contains(screen, want) {
				t.Errorf("%s: it does not say %q:\n%q", c.name, want, screen)
			}
		}
		if c.not != "" && strings.Contains(screen, c.not) {
			t.Errorf("%s: it says %q:\n%s", c.name, c.not, screen)
		}
	}
}
