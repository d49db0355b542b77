package component

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"maia-dr/packaging/ci/faults/matrix"
)

// recorded plays tools from a table: "place arg arg" to what they print. What is not in it is not there. It notes what
// was run.
type recorded struct {
	answers map[string]string
	errs    map[string]error

	mu  sync.Mutex
	ran []string
}

func (r *recorded) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	call := strings.Join(append([]string{name}, args...), " ")
	for long, short := range map[string]string{probe: "PROBE", listing: "LISTING", listAndFreeze: "BOTH"} {
		call = strings.ReplaceAll(call, long, short)
	}
	r.mu.Lock()
	r.ran = append(r.ran, call)
	r.mu.Unlock()
	if err := r.errs[call]; err != nil {
		return nil, err
	}
	if call == name+" -c BOTH" { // what that does
		list, err := r.run(ctx, name, "-m", "pip", "list", "--format=freeze")
		if err != nil {
			return nil, err
		}
		freeze, err := r.run(ctx, name, "-m", "pip", "freeze")
		return slices.Concat(list, []byte(listEnd), freeze), err
	}
	if out, ok := r.answers[call]; ok {
		return []byte(out), nil
	}
	return nil, fmt.Errorf("run %s: %w", name, exec.ErrNotFound)
}

func (r *recorded) did(call string) bool { return slices.Contains(r.ran, call) }

func python(executable, version, prefix string, pip bool) string {
	return fmt.Sprintf("a line of a site file\n{\"executable\": %q, \"version\": %q, \"prefix\": %q, \"pip\": %v}\n", executable, version, prefix, pip)
}

func TestDependencies(t *testing.T) {
	root := maia(t, map[string]string{
		"claude/tools/a.py":       "#!/usr/bin/env python3\n",
		"claude/tools/b.py":       "#!/usr/local/bin/python3.9\n",
		"claude/tools/c.py":       "#! /usr/bin/env -S VAR=1 python3 -u\n",
		"claude/tools/none.py":    "#!/opt/gone/python3\n",
		"claude/tools/noshebang":  "#!/usr/bin/python3.1\nnot executable",
		"claude/tools/sh.py":      "#!/bin/sh\n",
		"claude/tools/empty.py":   "#!\n",
		"claude/tools/run":        "x",
		"claude/.venv/pyvenv.cfg": "version = 3.12.0\n",
		"claude/.venv/bin/x":      "x",
	})
	h := home(t, map[string]string{
		"Library/LaunchAgents/com.maia.a.plist": agentPlist("a", "/usr/local/bin/python3", root+"/claude/tools/a.py"),
		"Library/LaunchAgents/com.maia.b.plist": agentPlist("b", "/usr/local/bin/python3.9", "x.py"),
		"Library/LaunchAgents/com.maia.c.plist": agentPlist("c", "/usr/bin/env", "python3", "x.py"),
		"Library/LaunchAgents/com.maia.d.plist": agentPlist("d", root+"/claude/tools/b.py"),
		"Library/LaunchAgents/com.maia.e.plist": agentPlist("e", "/bin/bash", root+"/claude/tools/sh.py"),
		"Library/LaunchAgents/com.maia.f.plist": agentPlist("f", "/opt/lost/python3", "x.py"),
		"Library/LaunchAgents/com.maia.g.plist": agentPlist("g", "/opt/broken/python3", "x.py"),
	})
	inv := takeOptions(t, Options{Root: root, Home: h})
	const one, two = "/usr/local/bin/python3", "python3"
	venv := root + "/claude/.venv/bin/python"
	r := &recorded{
		answers: map[string]string{
			one + " -c PROBE": python(one, "3.9.6", "/usr/local", true), one + ".9 -c PROBE": python(one+".9", "3.9.6", "/usr/local", true),
			"/bin/python3 -c PROBE": python("/bin/python3", "3.11.2", "/usr", false), two + " -c PROBE": python("/usr/bin/python3", "3.11.2", "/usr", false),
			venv + " -c PROBE":                            strings.Replace(python(venv, "3.12.0", root+"/claude/.venv", true), "}", `, "managed": true}`, 1),
			one + " -m pip freeze":                        "anthropic==0.23.1\n-e git+https://u:hunter2@example.org/x.git#egg=x\nflask==3.0.3\n",
			one + " -m pip list --format=freeze":          "anthropic==0.23.1\nflask==3.0.3\nx==1\n",
			venv + " -m pip list --format=freeze":         "numpy==2.0.2\r\npip==24.0\r\nwheel==1\r\n",
			"/bin/python3 -c LISTING":                     "six==1.16.0\n",
			"/opt/homebrew/bin/brew list --formula":       "gh\njq\nripgrep\n",
			"/opt/homebrew/bin/brew bundle dump --file=-": "tap \"a/b\", \"https://tok@example.org/b\"\nbrew \"gh\"\n",
		},
		errs: map[string]error{"/opt/broken/python3 -c PROBE": errors.New("bad interpreter")},
	}
	files, info, warnings := CaptureDependencies(t.Context(), Deps{Inventory: inv, Run: r.run, GOOS: "linux"})
	want := map[string]string{
		FreezeFile:   "anthropic==0.23.1\n-e git+https://example.org/x.git#egg=x\nflask==3.0.3\n",
		BrewListFile: "gh\njq\nripgrep\n",
		Brewfile:     "tap \"a/b\", \"https://example.org/b\"\nbrew \"gh\"\n",
		PipListFile: "# " + one + " 3.9.6\nanthropic==0.23.1\nflask==3.0.3\nx==1\n" +
			"# /bin/python3 3.11.2 (no pip there; from importlib.metadata)\nsix==1.16.0\n# " + venv + " 3.12.0\nnumpy==2.0.2\npip==24.0\nwheel==1\n",
	}
	for name, text := range want {
		if string(files[name]) != text {
			t.Errorf("%s is %q, want %q", name, files[name], text)
		}
	}
	if len(files) != len(want) {
		t.Errorf("%d files", len(files))
	}
	type row struct {
		path                      string
		agents, scripts, packages int
		pip                       string
	}
	var got []row
	for _, in := range info.Interpreters {
		got = append(got, row{in.Path, in.Agents, in.Scripts, in.Packages, in.Pip})
	}
	if want := []row{{one, 3, 1, 3, ToolPresent}, {"/bin/python3", 1, 2, 1, ToolAbsent}, {venv, 0, 0, 3, ToolPresent}}; !reflect.DeepEqual(got, want) {
		t.Errorf("interpreters %+v, want %+v", got, want)
	}
	first, last := info.Interpreters[0], info.Interpreters[2]
	if !slices.Equal(first.Named, []string{one, one + ".9"}) || first.Managed || first.Added != 3 || last.Named != nil || !last.Managed || last.Added != 1 {
		t.Errorf("%+v, %+v", first, last)
	}
	if info.Freeze != one || info.Pip != ToolPresent || info.Brew != ToolPresent || info.BrewPrefix != "/opt/homebrew" ||
		info.PipPackages != 3 || info.BrewPackages != 3 || len(info.VirtualEnvs) != 1 {
		t.Errorf("%+v", info)
	}
	if len(warnings) != 1 || !strings.Contains(warnings[0], "/opt/broken") || !strings.Contains(warnings[0], "com.maia.g") {
		t.Errorf("warnings %q", warnings)
	}
	if want := []string{"/opt/lost/python3, named by the agent com.maia.f.plist"}; !slices.Equal(info.Absent, want) {
		t.Errorf("absent %q, want %q", info.Absent, want)
	}
	if r.did("/usr/bin/python3.1 -c PROBE") {
		t.Error("a file that is no script named an interpreter")
	}
}

func TestAbsentToolsAreRecordedAsAbsent(t *testing.T) {
	matrix.Count(t, 1, "26")
	r := new(recorded)
	files, info, warnings := CaptureDependencies(t.Context(), Deps{Inventory: takeRoot(t, maia(t, nil)), Run: r.run, GOOS: "linux"})
	if len(files) != 0 || len(warnings) != 0 || info.Pip != ToolAbsent || info.Brew != ToolAbsent || info.Freeze != "" {
		t.Errorf("%v %+v %q", files, info, warnings)
	}
	for _, call := range []string{"/opt/homebrew/bin/brew list --formula", "/usr/local/bin/brew list --formula", "brew list --formula", "python3 -c PROBE"} {
		if !r.did(call) {
			t.Errorf("%s was not tried, only %q", call, r.ran)
		}
	}
}

func TestFailingToolsWarn(t *testing.T) {
	matrix.Count(t, 1, "26")
	broken := errors.New("exit status 1")
	r := &recorded{
		answers: map[string]string{
			"python3 -c PROBE": python("/usr/bin/python3", "3.11.2", "/usr", true), "/usr/bin/python3 -m pip list --format=freeze": "a==1\n",
			"brew list --formula": "gh\n", "brew --prefix": "/home/x/brew\n",
		},
		errs: map[string]error{"/usr/bin/python3 -m pip freeze": broken, "brew bundle dump --file=-": broken},
	}
	files, info, warnings := CaptureDependencies(t.Context(), Deps{Inventory: takeRoot(t, maia(t, nil)), Run: r.run, GOOS: "linux"})
	if files[FreezeFile] != nil || files[Brewfile] != nil || files[PipListFile] == nil || string(files[BrewListFile]) != "gh\n" {
		t.Errorf("%q", files)
	}
	if info.Pip != ToolFailed || info.Brew != ToolFailed || info.BrewPrefix != "/home/x/brew" || len(warnings) != 2 {
		t.Errorf("%+v %q", info, warnings)
	}
}

// TestNoDialogIsOpened has a Mac without the Command Line Tools: nothing of them may be run, however it is named.
func TestNoDialogIsOpened(t *testing.T) {
	root := maia(t, map[string]string{"a.py": "#!/usr/bin/env python3\n", "b.py": "#!/usr/bin/python3\n", ".git/HEAD": "x", ".venv/pyvenv.cfg": ""})
	must(t, os.MkdirAll(root+"/.venv/bin", 0o755))
	must(t, os.Symlink("/usr/bin/python3", root+"/.venv/bin/python3"))
	inv := takeRoot(t, root)
	gone := path.Join(t.TempDir(), "gone")
	there := t.TempDir()
	for name, c := range map[string]struct {
		selected string
		may      bool
	}{"none": {"", false}, "gone after an upgrade": {gone + "\n", false}, "there": {there + "\n", true}} {
		r := &recorded{answers: map[string]string{
			"/usr/bin/python3 -c PROBE": python("/usr/bin/python3", "3.9.6", "/Library/x", true), "python3 -c PROBE": python("/usr/bin/python3", "3.9.6", "/Library/x", true),
			"/usr/bin/python3 -m pip list --format=freeze": "a==1\n", "/usr/bin/python3 -m pip freeze": "a==1\n",
		}}
		if c.selected != "" {
			r.answers["/usr/bin/xcode-select -p"] = c.selected
		}
		files, info, _ := CaptureDependencies(t.Context(), Deps{Inventory: inv, Run: r.run, GOOS: "darwin"})
		git := CaptureGit(t.Context(), root, r.run, "darwin")
		ranShim := slices.ContainsFunc(r.ran, func(call string) bool {
			tool, _, _ := strings.Cut(call, " ")
			return slices.Contains([]string{"python3", "/usr/bin/python3", "git", "/usr/bin/git", root + "/.venv/bin/python3"}, tool)
		})
		if ranShim != c.may || (files[FreezeFile] != nil) != c.may || (info.Pip == ToolPresent) != c.may {
			t.Errorf("%s: ran %q, files %q", name, r.ran, files)
		}
		if !git.Present || git.Problem != "git is not installed" || git.Dirty != -1 {
			t.Errorf("%s: %+v", name, git)
		}
		if r.last("/opt/homebrew/bin/git ") == "" {
			t.Errorf("%s: Homebrew's git was not tried: %q", name, r.ran)
		}
	}
}

// last returns the last call that begins with a prefix, or "".
func (r *recorded) last(prefix string) string {
	for _, call := range slices.Backward(r.ran) {
		if strings.HasPrefix(call, prefix) {
			return call
		}
	}
	return ""
}

// TestRealPython asks the Python that is installed, and one that is a script.
func TestRealPython(t *testing.T) {
	dir := t.TempDir()
	script(t, dir+"/brew", `case "$*" in
"list --formula") echo gh; echo jq;;
"bundle dump --file=-") echo 'brew "gh"';;
"--prefix") echo /x;;
*) exit 1;;
esac`)
	script(t, dir+"/python3", `case "$*" in
*runpy*) printf 'a==1\nb==2\n\0a==1\nb @ https://t0ken@h/b.whl\n';;
*"pip freeze") printf 'a==1\nb @ https://t0ken@h/b.whl\n';;
*"pip list --format=freeze") printf 'a==1\nb==2\n';;
-c*) printf '{"executable": "%s", "version": "3.9.6", "prefix": "/p", "pip": true}\n' "$0";;
*) exit 1;;
esac`)
	run := NewRunner(t.TempDir(), environment(map[string]string{"PATH": dir + ":/usr/bin:/bin"}))
	files, info, warnings := CaptureDependencies(t.Context(), Deps{Inventory: takeRoot(t, maia(t, nil)), Run: run, GOOS: "linux"})
	if string(files[FreezeFile]) != "a==1\nb @ https://h/b.whl\n" || string(files[PipListFile]) != "# "+dir+"/python3 3.9.6\na==1\nb==2\n" || len(warnings) != 0 {
		t.Errorf("%q %+v %q", files, info, warnings)
	}
	// Another Homebrew may be installed for real and come first.
	if info.Brew != ToolPresent || !bytes.Contains(files[BrewListFile], []byte("gh")) && info.BrewPrefix == "/x" {
		t.Errorf("%q %+v", files, info)
	}
}

func TestHangingToolIsGivenUp(t *testing.T) {
	matrix.Count(t, 1, "26")
	dir := t.TempDir()
	script(t, dir+"/python3", "exec sleep 600")
	script(t, dir+"/brew", "exec sleep 600")
	run := NewRunner(t.TempDir(), environment(map[string]string{"PATH": dir + ":/usr/bin:/bin"}))
	start := time.Now()
	_, _, warnings := CaptureDependencies(t.Context(), Deps{Inventory: takeRoot(t, maia(t, nil)), Run: run, GOOS: "linux", Timeout: 200 * time.Millisecond})
	if took := time.Since(start); took > 10*time.Second || len(warnings) < 2 {
		t.Errorf("%v, %q", took, warnings)
	}
}
