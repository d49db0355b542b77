package resources

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"

	"maia-dr/packaging/ci/faults/matrix"
)

// usedHome is a home in which files of a backup are in the way, and others are not.
type usedHome struct {
	*machine
	to    string
	state string // of launchctl
	brew  string // what was installed
}

// inTheWay is what lies in a used home, and must be found again whatever happens.
var inTheWay = map[string]string{
	".zshrc": "mine", ".netrc": "mine, too", "Library/LaunchAgents/com.maia.one.plist": "mine as well",
	"stranger": "mine", "Library/LaunchAgents/com.other.plist": "another's", "maia/CLAUDE.md": "my own", "maia/stranger": "mine",
}

func newUsedHome(t testing.TB) *usedHome {
	t.Helper()
	m := newMachine(t, "bsdtar", "perl")
	return m.used(filepath.Join(m.home, "maia"))
}

// used fills the home and the target of a machine.
func (m *machine) used(to string) *usedHome {
	m.t.Helper()
	h := &usedHome{machine: m, to: to}
	m.wrapPlutil()
	h.state = m.wrapLaunchctl()
	h.brew = filepath.Join(filepath.Dir(m.bin), "installed")
	m.fakeTool("xcode-select", "exit 0")
	m.fakeTool("brew", `case "$1" in install) echo "$3" >> '`+h.brew+`' ;; esac`)
	for path, body := range inTheWay {
		write(m.t, h.at(path), []byte(body))
	}
	return h
}

// at is where a file of inTheWay lies.
func (h *usedHome) at(path string) string {
	if rest, ok := strings.CutPrefix(path, "maia/"); ok {
		return filepath.Join(h.to, rest)
	}
	return filepath.Join(h.home, path)
}

func (h *usedHome) args() []string {
	return []string{"--to", h.to, "--yes", "--vault-password-file", h.passwordFile("correct horse")}
}

var stamps = regexp.MustCompile(`\.before-restore-[0-9]{8}_[0-9]{6}`)

// scene is all there is in the home, the agents that are loaded, and the packages: what does not depend on when it was.
func (h *usedHome) scene() map[string]string {
	h.t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(h.home, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		rel := stamps.ReplaceAllString(strings.TrimPrefix(path, h.home), ".before-restore")
		what := fi.Mode().String()
		switch {
		case fi.Mode()&fs.ModeSymlink != 0:
			to, err := os.Readlink(path)
			if err != nil {
				return err
			}
			what += " -> " + to
		case strings.HasSuffix(rel, "/report.txt"), strings.HasSuffix(rel, "/packages.time"), strings.Contains(rel, "/packages.log"): // they tell of their run
		case fi.Mode().IsRegular():
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			// The home of each case has another name.
			what += " " + strings.ReplaceAll(string(body), h.home, "HOME")
		}
		out[rel] = what
		return nil
	})
	if err != nil {
		h.t.Fatal(err)
	}
	for _, path := range glob(h.t, filepath.Join(h.state, "is.*")) {
		out["agent "+strings.TrimPrefix(filepath.Base(path), "is.")] = "loaded"
	}
	for _, name := range readLines(h.t, h.brew) {
		out["package "+name] = "installed"
	}
	return out
}

// nothingLost: whatever lay there is in its place, or beside it.
func (h *usedHome) nothingLost() {
	h.t.Helper()
	for path, body := range inTheWay {
		places := []string{h.at(path)}
		for _, dir := range glob(h.t, h.to+".before-restore-*") {
			places = append(places, filepath.Join(dir, "home", path), filepath.Join(dir, strings.TrimPrefix(path, "maia/")))
		}
		if !slices.ContainsFunc(places, func(p string) bool { got, err := os.ReadFile(p); return err == nil && string(got) == body }) {
			h.t.Errorf("%s, which lay in the home, is lost", path)
		}
	}
}

// TestKilledAtHome kills the script in each of its phases, agents and packages among them, and runs it again: the end is the same,
// and nothing that lay in the home is lost.
func TestKilledAtHome(t *testing.T) {
	t.Parallel()
	faults := matrix.Of(t, "2")
	b := everything(t, small(t))
	script := filepath.Join(b.dir, "restore_maia.sh")
	whole := newUsedHome(t)
	counter := whole.countCalls("launchctl", "brew")
	whole.run(script, whole.args()...).want(t, 0, "2 agents are loaded.", "What was in the way lies in ")
	want := whole.scene()
	whole.nothingLost()
	for _, is := range []string{"agent com.maia.one", "agent com.maia.two", "package jq", "package iterm2", "/maia.before-restore/home/.zshrc", "/maia.before-restore/CLAUDE.md"} {
		if want[is] == "" {
			t.Fatalf("an undisturbed restore leaves no %q", is)
		}
	}
	calls := readLines(t, counter)
	agents, packages := slices.Index(calls, "launchctl"), slices.Index(calls, "brew")
	if agents < 40 || packages < agents {
		t.Fatalf("of %d calls, the first of launchctl is %d, that of brew %d", len(calls), agents, packages)
	}
	// All over, and closer where the home is merged, which comes just before the agents.
	var moments []int
	for n := 5; n < agents-20; n += 45 {
		moments = append(moments, n)
	}
	for n := agents - 18; n < agents; n += 6 {
		moments = append(moments, n)
	}
	moments = append(moments, agents+2, packages+2, len(calls)-3)
	for i, n := range moments {
		kind := []string{"KILL", "KILL_AFTER"}[i%2]
		t.Run(fmt.Sprintf("%s=%d of %d, %s", kind, n, len(calls), calls[min(n, len(calls))-1]), func(t *testing.T) {
			faults.Inject()
			t.Parallel()
			h := newUsedHome(t)
			h.countCalls("launchctl", "brew")
			cmd := h.command(script, h.args()...)
			cmd.Env = append(cmd.Env, fmt.Sprintf("%s=%d", kind, n))
			out, err := cmd.CombinedOutput()
			if status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Fatalf("not killed: %v\n%s", err, out)
			}
			h.nothingLost()
			h.run(script, h.args()...).want(t, 0, "2 agents are loaded.")
			h.nothingLost()
			got := h.scene()
			for path, what := range want {
				if got[path] != what {
					t.Errorf("%q is %q, and %q when nothing disturbs", path, got[path], what)
				}
			}
			for path, what := range got {
				if want[path] == "" {
					t.Errorf("%q, %s, is not there when nothing disturbs", path, what)
				}
			}
			if t.Failed() {
				t.Logf("the killed run said:\n%s", out)
			}
		})
	}
}
