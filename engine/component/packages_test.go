package component

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// What pip said is believed for as long as the same is installed, and asked for again otherwise.
func TestKnownPackageLists(t *testing.T) {
	h := home(t, map[string]string{"Library/LaunchAgents/com.maia.a.plist": agentPlist("a", "/opt/p/python3", "x.py")})
	inv := takeOptions(t, Options{Root: maia(t, nil), Home: h})
	const one = "/opt/p/python3"
	answer := func(installed string) string {
		return strings.Replace(python(one, "3.12.0", "/opt/p", true), "}", `, "installed": [`+installed+`]}`, 1)
	}
	r := &recorded{answers: map[string]string{
		one + " -c PROBE":                    answer(`"a"`),
		one + " -m pip freeze":               "six==1.16.0\n",
		one + " -m pip list --format=freeze": "pip==24\nsix==1.16.0\n",
	}}
	var known KnownPackages
	capture := func(what string, asked bool) {
		t.Helper()
		r.ran = nil
		lists := &PackageLists{Known: known}
		files, info, warnings := CaptureDependencies(t.Context(), Deps{Inventory: inv, Run: r.run, GOOS: "linux", Lists: lists})
		if string(files[FreezeFile]) != r.answers[one+" -m pip freeze"] || info.PipPackages != 2 || len(warnings) > 0 {
			t.Errorf("%s: %q, %+v, %q", what, files[FreezeFile], info, warnings)
		}
		if r.did(one+" -c BOTH") != asked || r.did(one+" -m pip freeze") != asked || r.did(one+" -m pip list --format=freeze") != asked {
			t.Errorf("%s: ran %q", what, r.ran)
		}
		b, err := json.Marshal(lists.Used())
		if err != nil {
			t.Fatal(err)
		}
		known = KnownPackages{}
		if err := json.Unmarshal(b, &known); err != nil {
			t.Fatal(err)
		}
	}
	capture("first", true)
	capture("the same", false)
	capture("the same again", false)
	r.answers[one+" -c PROBE"] = answer(`"a", "b"`)
	r.answers[one+" -m pip freeze"] = "six==1.17.0\n"
	capture("another package", true)
	for key, l := range known.Lists {
		known.Lists[key] = PackageList{List: l.List} // as where it was not the first interpreter
	}
	capture("no freeze known", true)
	r.answers[one+" -c PROBE"] = answer(`"p"`)
	r.answers[one+" -m pip freeze"] = ""
	capture("nothing to freeze", true)
	capture("nothing to freeze still", false)
	r.answers[one+" -c PROBE"] = answer("")
	capture("a working copy is installed", true)
	capture("a working copy is installed still", true)
	r.errs = map[string]error{one + " -m pip freeze": exec.ErrDot}
	r.answers[one+" -c PROBE"] = answer(`"c"`)
	lists := new(PackageLists)
	if _, _, warnings := CaptureDependencies(t.Context(), Deps{Inventory: inv, Run: r.run, GOOS: "linux", Lists: lists}); len(warnings) != 1 || len(lists.Used().Lists) > 0 {
		t.Errorf("a failing pip: %q, remembered %v", warnings, slices.Collect(maps.Keys(lists.Used().Lists)))
	}
}

// TestBothListsAtOnce has a real Python run stand-ins for pip: both lists are what they are when asked for one by one, from
// one process where that can be.
func TestBothListsAtOnce(t *testing.T) {
	exe, err := exec.Command("python3", "-c", "import sys; print(sys.executable)").Output()
	must(t, err)
	const start = `import os, sys
if sys.path[0] in ("", os.getcwd()):
    sys.path.pop(0)
what = sys.argv[1]
`
	for name, c := range map[string]struct {
		pip   string
		ran   int // processes
		state string
	}{
		"both": {`print("\n".join(sys.argv + sys.path + [__name__]))
sys.stdout.flush()
sys.stdout.buffer.write(("https://u:p@h/" + what + "\r\n\n").encode())
sys.exit(0)`, 1, ToolPresent},
		"no exit":       {`sys.stdout.buffer.write(what.encode())`, 1, ToolPresent},
		"nothing":       {`sys.exit()`, 1, ToolPresent},
		"list fails":    {`print(what); sys.exit("no list" if what == "list" else 0)`, 2, ToolFailed},
		"freeze fails":  {`print(what); sys.exit("no freeze" if what == "freeze" else 0)`, 3, ToolFailed},
		"freeze breaks": {`print(what); assert what == "list"`, 3, ToolFailed},
		"list ends it":  {`print(what); sys.stdout.flush(); os._exit(0)`, 3, ToolPresent},
		"odd name":      {`print("a\0==" + what)`, 3, ToolPresent},
	} {
		dir, work := t.TempDir(), t.TempDir()
		tree(t, dir, map[string]string{"pip/__init__.py": "", "pip/__main__.py": start + c.pip})
		ran := 0
		run := func(ctx context.Context, name string, args ...string) ([]byte, error) {
			ran++
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Env, cmd.Dir = []string{"PYTHONPATH=" + dir, "PYTHONDONTWRITEBYTECODE=1"}, work
			return cmd.Output()
		}
		ask := func(run Runner) (PackageList, string, []string) {
			d := &depCapture{tools: newTools(run, "linux", 0)}
			in := Interpreter{Path: strings.TrimSpace(string(exe)), Pip: ToolPresent}
			l, ok := d.askForPackages(t.Context(), &in, true)
			if ok != (in.Pip == ToolPresent) {
				t.Errorf("%s: %v, %+v", name, ok, in)
			}
			return l, in.Pip, d.warnings
		}
		want, wantState, wantWarnings := ask(func(ctx context.Context, name string, args ...string) ([]byte, error) {
			if args[0] == "-c" {
				return nil, errors.New("one by one")
			}
			return run(ctx, name, args...)
		})
		ran = 0
		if c.ran == 1 { // -m would take this for Python's own
			tree(t, work, map[string]string{"runpy.py": "raise SystemExit(1)"})
		}
		got, state, warnings := ask(run)
		if !reflect.DeepEqual(got, want) || !slices.Equal(warnings, wantWarnings) || state != c.state || state != wantState || ran != c.ran {
			t.Errorf("%s: %+v, %q, %s from %d, want %+v, %q", name, got, warnings, state, ran, want, wantWarnings)
		}
	}
}

// A pip that hangs with both is asked one by one before all of the time is over.
func TestBothListsHang(t *testing.T) {
	tool := script(t, t.TempDir()+"/python3", `case "$*" in
"-m pip freeze") echo a==1;;
"-m pip list --format=freeze") echo b==1;;
*) exec sleep 600;;
esac`)
	run := NewRunner(t.TempDir(), environment(map[string]string{"PATH": "/usr/bin:/bin"}))
	d := &depCapture{tools: newTools(run, "linux", 2*time.Second)}
	l, ok := d.askForPackages(t.Context(), &Interpreter{Path: tool, Pip: ToolPresent}, true)
	if !ok || string(l.List) != "b==1\n" || string(l.Freeze) != "a==1\n" || len(d.warnings) > 0 {
		t.Errorf("%v, %+v, %q", ok, l, d.warnings)
	}
}

// TestInstalledKey asks a real Python: whatever is done to a folder of packages changes the key, or says that there is none.
func TestInstalledKey(t *testing.T) {
	dir := t.TempDir()
	key := func() string {
		t.Helper()
		run := func(ctx context.Context, name string, args ...string) ([]byte, error) {
			cmd := exec.CommandContext(ctx, name, args...)
			cmd.Env, cmd.Dir = []string{"PYTHONPATH=" + dir, "HOME=" + dir, "PYTHONDONTWRITEBYTECODE=1"}, "/"
			return cmd.Output()
		}
		id, err := newTools(run, "linux", 0).identify(t.Context(), "python3")
		if err != nil {
			t.Fatal(err)
		}
		return installedKey(&id)
	}
	put := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	last := key()
	if last == "" || key() != last {
		t.Fatalf("the key of what does not change: %q", last)
	}
	for _, step := range []struct {
		what string
		do   func()
		none bool // there is no key
		back bool // it is again as it was
	}{
		{"installed", func() { put("six-1.16.0.dist-info/METADATA", "Name: six") }, false, false},
		{"upgraded", func() {
			if err := os.Rename(filepath.Join(dir, "six-1.16.0.dist-info"), filepath.Join(dir, "six-1.17.0.dist-info")); err != nil {
				t.Fatal(err)
			}
		}, false, false},
		{"from elsewhere", func() { put("six-1.17.0.dist-info/direct_url.json", `{"url": "https://example.org/six.zip"}`) }, false, false},
		{"pip configured", func() { put(".config/pip/pip.conf", "[freeze]\nexclude = six\n") }, false, false},
		{"from a working copy", func() {
			put("mine-1.dist-info/direct_url.json", `{"url": "file:///x", "dir_info": {"editable": true}}`)
		}, true, false},
		{"removed", func() {
			if err := os.RemoveAll(filepath.Join(dir, "mine-1.dist-info")); err != nil {
				t.Fatal(err)
			}
		}, false, true},
		{"from a working copy, by an old pip", func() { put("mine.egg-link", "/x") }, true, false},
	} {
		step.do()
		now := key()
		switch {
		case step.none && now != "":
			t.Errorf("%s: there is a key", step.what)
		case !step.none && (now == "" || (now == last) != step.back):
			t.Errorf("%s: the key is %q, before %q", step.what, now, last)
		}
		if !step.none {
			last = now
		}
	}
}

// A Python is not started where its program, the links to it and its folders are as they were; and is where that cannot be
// known.
func TestPythonIsNotAskedAgain(t *testing.T) {
	dir := t.TempDir()
	program, link, site := filepath.Join(dir, "python3.12"), filepath.Join(dir, "bin", "python3"), filepath.Join(dir, "site-packages")
	put := func(path, content string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	put(program, "\x7fELF")
	put(filepath.Join(site, "six.py"), "")
	if err := os.Mkdir(filepath.Dir(link), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink("../python3.12", link); err != nil {
		t.Fatal(err)
	}
	inv := takeOptions(t, Options{Root: maia(t, nil), Home: home(t, map[string]string{
		"Library/LaunchAgents/com.maia.a.plist": agentPlist("a", link, "x.py"),
	})})
	r := &recorded{answers: map[string]string{
		link + " -c PROBE":   strings.Replace(python(link, "3.12.0", dir, false), "}", fmt.Sprintf(`, "installed": ["x"], "places": [%q, %q]}`, site, dir+"/pip.conf"), 1),
		link + " -c LISTING": "six==1\n",
	}}
	var known KnownPackages
	since := time.Now().Add(time.Hour)
	asked := func(what string, want bool) {
		t.Helper()
		r.ran = nil
		lists := &PackageLists{Known: known, Since: since}
		_, info, _ := CaptureDependencies(t.Context(), Deps{Inventory: inv, Run: r.run, GOOS: "linux", Lists: lists})
		if len(info.Interpreters) != 1 || info.PipPackages != 1 || r.did(link+" -c PROBE") != want {
			t.Errorf("%s: %+v, ran %q", what, info.Interpreters, r.ran)
		}
		known = lists.Used()
	}
	asked("first", true)
	asked("the same", false)
	put(filepath.Join(site, "new.py"), "")
	asked("another file in a folder", true)
	asked("the same again", false)
	put(filepath.Join(dir, "pyvenv.cfg"), "")
	asked("an environment's configuration", true)
	put(program, "\x7fELF2")
	asked("another program", true)
	put(dir+"/pip.conf", "")
	asked("pip is configured", true)
	asked("the same once more", false)
	since = time.Now()
	asked("the same, just made", false)
	put(filepath.Join(site, "newer.py"), "")
	asked("what has not rested", true)
	asked("what has not rested is not believed", true)
	since = time.Now().Add(time.Hour)
	put(program, "#!/bin/sh\n")
	asked("a script", true)
	asked("a script may find another", true)
}

// A Python that is named without its folder is known by where the search path has it.
func TestPythonInSearchPath(t *testing.T) {
	dir := t.TempDir()
	link := filepath.Join(dir, "python3")
	if err := os.WriteFile(link, []byte("\x7fELF"), 0o700); err != nil {
		t.Fatal(err)
	}
	inv := takeOptions(t, Options{Root: maia(t, nil), Home: home(t, nil)})
	answer := strings.Replace(python(link, "3.12.0", dir, false), "}", fmt.Sprintf(`, "installed": ["x"], "places": [%q]}`, dir+"/pip.conf"), 1)
	r := &recorded{answers: map[string]string{link + " -c PROBE": answer, link + " -c LISTING": "six==1\n", "python3 -c PROBE": answer}}
	var known KnownPackages
	for n, search := range []string{"/none:" + dir, dir + ":/none", "/none"} {
		r.ran = nil
		lists := &PackageLists{Known: known, Since: time.Now().Add(time.Hour)}
		_, info, _ := CaptureDependencies(t.Context(), Deps{Inventory: inv, Run: r.run, GOOS: "linux", Lists: lists, Search: search})
		if len(info.Interpreters) != 1 || info.Interpreters[0].Version != "3.12.0" {
			t.Errorf("%s: %+v", search, info.Interpreters)
		}
		if r.did(link+" -c PROBE") != (n == 0) || r.did("python3 -c PROBE") != (n == 2) {
			t.Errorf("%s: ran %q", search, r.ran)
		}
		known = lists.Used()
	}
}
