package component

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
)

// tools runs what is installed, with a time limit each and without ever opening a dialog. Safe for concurrent use if
// the Runner is.
type tools struct {
	runner  Runner
	goos    string
	timeout time.Duration

	once sync.Once
	clt  bool // the Command Line Tools are there
}

func newTools(run Runner, goos string, timeout time.Duration) *tools {
	return &tools{runner: run, goos: cmp.Or(goos, runtime.GOOS), timeout: cmp.Or(timeout, DefaultTimeout)}
}

// brewPlaces are where Homebrew lies: on Apple's processors, on Intel's, on Linux.
var brewPlaces = []string{"/opt/homebrew/bin", "/usr/local/bin", "/home/linuxbrew/.linuxbrew/bin"}

// lookUp returns where a name may be: in a given search path, or else where the user's shell would find it. launchd's
// own search path knows no Homebrew, so that on a Mac its folders come first, as in a shell there.
func (t *tools) lookUp(name, search string) (paths []string) {
	if search == "" {
		if t.goos == "darwin" {
			for _, dir := range brewPlaces[:2] {
				paths = append(paths, path.Join(dir, name))
			}
		}
		return append(paths, name)
	}
	for _, dir := range filepath.SplitList(search) {
		if filepath.IsAbs(dir) {
			paths = append(paths, filepath.Join(dir, name))
		}
	}
	return paths
}

// run runs a tool, unless that could open a dialog: then it counts as absent.
func (t *tools) run(ctx context.Context, name string, args ...string) ([]byte, error) {
	if t.isShim(name) && !t.commandLineTools(ctx) {
		return nil, fmt.Errorf("run %s: the Command Line Tools are not installed: %w", name, exec.ErrNotFound)
	}
	return t.limited(ctx, name, args...)
}

func (t *tools) limited(ctx context.Context, name string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, t.timeout)
	defer cancel()
	return t.runner(ctx, name, args...)
}

// first runs a tool at the first of several places where there is one.
func (t *tools) first(ctx context.Context, places []string, args ...string) (place string, out []byte, err error) {
	for _, place = range places {
		if out, err = t.run(ctx, place, args...); err == nil || !absent(err) {
			return place, out, err
		}
	}
	return "", nil, err
}

// shims are programs of macOS that open a dialog to install the Command Line Tools where those are missing.
var shims = []string{"git", "python3", "pip3"}

// isShim reports whether running a program could open that dialog: it is one of them, or a link to one. A bare name is
// looked up, and may be found in /usr/bin.
func (t *tools) isShim(program string) bool {
	if t.goos != "darwin" {
		return false
	}
	for range 16 {
		dir, name := path.Split(program)
		if (dir == "" || dir == "/usr/bin/") && slices.Contains(shims, name) {
			return true
		}
		target, err := os.Readlink(program)
		if err != nil {
			return false
		}
		if !path.IsAbs(target) {
			target = path.Join(dir, target)
		}
		program = target
	}
	return false
}

// commandLineTools reports whether Apple's Command Line Tools are there. An upgrade of macOS can leave a folder named
// that is gone.
func (t *tools) commandLineTools(ctx context.Context) bool {
	t.once.Do(func() {
		out, err := t.limited(ctx, "/usr/bin/xcode-select", "-p")
		if err != nil {
			return
		}
		fi, err := os.Stat(strings.TrimSpace(string(out)))
		t.clt = err == nil && fi.IsDir()
	})
	return t.clt
}

// absent reports whether an error of a Runner says that the tool is not there. 127 is what a stand-in like pyenv's
// says of a version that is not installed.
func absent(err error) bool {
	var exit *exec.ExitError
	return errors.Is(err, exec.ErrNotFound) || errors.Is(err, os.ErrNotExist) || errors.As(err, &exit) && exit.ExitCode() == 127
}

// probe asks a Python who it is, and for what pip's lists follow from: the names, inodes and times of what is installed, and
// pip's configuration; places are the folders and files that this follows from. Of something installed from a working copy pip also says what is checked out there: then for nothing.
// It must work in every version of it.
const probe = `import json, os, sys
try:
    from importlib.util import find_spec
    pip = find_spec("pip") is not None
except Exception:
    try:
        import pip
        pip = True
    except Exception:
        pip = False
version = ".".join(str(n) for n in sys.version_info[:3])
managed = False
try:
    import sysconfig
    managed = sys.prefix == sys.base_prefix and os.path.exists(os.path.join(sysconfig.get_path("stdlib"), "EXTERNALLY-MANAGED"))
except Exception:
    pass
def state(path, *more):
    st = os.stat(path)
    return "%s %d %d %r %s" % (path, st.st_ino, st.st_size, st.st_mtime, more)
places = [place for place in sys.path if os.path.isabs(place)]
def installed():
    found = []
    for place in places:
        if not os.path.exists(place):
            continue
        found.append(place)
        if not os.path.isdir(place):
            found.append(state(place))
            continue
        for name in sorted(os.listdir(place)):
            path = os.path.join(place, name)
            if name.endswith((".egg-link", ".egg")) or name.startswith("__editable__"):
                return []
            if name.endswith((".dist-info", ".egg-info")):
                origin = ""
                if os.path.exists(os.path.join(path, "direct_url.json")):
                    origin = open(os.path.join(path, "direct_url.json")).read()
                if "editable" in origin:
                    return []
                found.append(state(path, origin))
    found.extend([state(place) for place in configuration if os.path.exists(place)])
    return found
home = os.path.expanduser("~")
configuration = [os.path.join(place, "pip.conf") for place in [sys.prefix, "/etc", "/etc/xdg/pip", "/Library/Application Support/pip", home + "/.pip", home + "/.config/pip", home + "/Library/Application Support/pip"]]
try:
    packages = installed()
except Exception:
    packages = []
print(json.dumps({"executable": sys.executable, "version": version, "prefix": sys.prefix, "pip": pip, "managed": managed, "installed": packages, "places": packages and places + configuration}))
`

// listing prints what is installed where there is no pip, as pip would.
const listing = `import sys
try:
    from importlib.metadata import distributions
except ImportError:
    sys.exit(0)
found = set()
for d in distributions():
    if d.metadata["Name"]:
        found.add("%s==%s" % (d.metadata["Name"], d.version))
print("\n".join(sorted(found, key=lambda line: line.lower())))
`

// listAndFreeze prints what pip list and then pip freeze print, with listEnd between, from one process: most of what each
// takes is to load pip. It ends as pip does where that fails. Nothing is loaded from the working directory, where -m looks first.
const listAndFreeze = `import sys
if sys.path[0] == "":
    del sys.path[0]
import runpy
def pip(*args):
    sys.argv = ["pip"] + list(args)
    try:
        runpy.run_module("pip", run_name="__main__", alter_sys=True)
    except SystemExit as end:
        if end.code:
            raise
pip("list", "--format=freeze")
sys.stdout.write("\0")
sys.stdout.flush()
pip("freeze")
`

// listEnd stands between the two lists. A name, a version or a path with it in it would make a second one.
const listEnd = "\x00"

// identity is what a Python says of itself.
type identity struct {
	Executable string
	Version    string
	Prefix     string
	Pip        bool
	Managed    bool
	Installed  []string
	Places     []string // whose states Installed follows from
}

func (t *tools) identify(ctx context.Context, python string) (id identity, err error) {
	out, err := t.run(ctx, python, "-c", probe)
	if err != nil {
		return id, err
	}
	// Above it may stand what a site's start-up file prints.
	out = bytes.TrimSpace(out)
	if err := json.Unmarshal(out[bytes.LastIndexByte(out, '\n')+1:], &id); err != nil {
		return id, fmt.Errorf("read its answer: %w", err)
	}
	if path.IsAbs(python) || id.Executable == "" {
		id.Executable = python
	}
	return id, nil
}
