package component

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"
)

// PackageList is what a Python had installed.
type PackageList struct {
	// List is one "name==version" a line, Freeze what pip freeze said, if it was asked.
	List   []byte `json:"list"`
	Freeze []byte `json:"freeze"`
	Asked  bool   `json:"asked"`
}

// KnownPackages is what Pythons said before, to be kept from one backup to the next.
type KnownPackages struct {
	// Pythons are the answers by the path that was asked for, Lists the lists by what lay in the folders of packages.
	Pythons map[string]PythonAnswer `json:"pythons"`
	Lists   map[string]PackageList  `json:"lists"`
}

// PythonAnswer is what a Python said of itself, and of which files and folders that was true.
type PythonAnswer struct {
	Seen     map[string]Stat `json:"seen"`
	Identity identity        `json:"identity"`
}

// PackageLists saves asking for what is known: a Python takes a tenth of a second to start, and pip half a second to say
// the same again. Safe for concurrent use. The zero value knows nothing.
type PackageLists struct {
	// Known is what is known from an earlier backup.
	Known KnownPackages
	// Since is before all questions: what changed in the two seconds before it, or later, is asked for again the next time.
	Since time.Time

	mu   sync.Mutex
	used KnownPackages
}

// Used returns what was asked for: that which was known, and the new.
func (p *PackageLists) Used() KnownPackages {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.used
}

func (p *PackageLists) list(key string) (PackageList, bool) {
	l, ok := p.Known.Lists[key]
	return l, ok && key != ""
}

func (p *PackageLists) keepList(key string, l PackageList) {
	if key == "" {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used.Lists == nil {
		p.used.Lists = map[string]PackageList{}
	}
	p.used.Lists[key] = l
}

// python returns a Python's answer if all is as it was when that was given.
func (p *PackageLists) python(path, goos string) (identity, bool) {
	a, ok := p.Known.Pythons[path]
	if !ok || !maps.Equal(a.Seen, lookAt(path, &a.Identity, goos)) {
		return identity{}, false
	}
	p.keepPython(path, a)
	return a.Identity, true
}

// remember keeps an answer that was just given, if it follows from what can be seen and has rested.
func (p *PackageLists) remember(path string, id identity, goos string) {
	seen := lookAt(path, &id, goos)
	limit := p.Since.Add(-2 * time.Second).UnixNano()
	for _, st := range seen {
		if max(st.MTimeNS, st.CTimeNS) >= limit {
			return
		}
	}
	if seen != nil {
		p.keepPython(path, PythonAnswer{Seen: seen, Identity: id})
	}
}

func (p *PackageLists) keepPython(path string, a PythonAnswer) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.used.Pythons == nil {
		p.used.Pythons = map[string]PythonAnswer{}
	}
	p.used.Pythons[path] = a
}

// lookAt returns the state of all that a Python's answer follows from: the program with every link to it, the environment's
// configuration, and the places that the answer names; the zero Stat is of what is not there. nil: the answer depends on more,
// as with a script that looks for the real one (pyenv), or macOS's own stand-in.
func lookAt(python string, id *identity, goos string) map[string]Stat {
	if !filepath.IsAbs(python) || len(id.Places) == 0 {
		return nil
	}
	seen := map[string]Stat{}
	look := func(path string) fs.FileInfo {
		fi, err := os.Lstat(path)
		if err != nil {
			seen[path] = Stat{}
			return nil
		}
		seen[path] = StatOf(fi)
		return fi
	}
	for at, hops := python, 0; ; hops++ {
		fi := look(at)
		dir := filepath.Dir(at)
		if fi == nil || hops == looksAtLinks || goos == "darwin" && dir == "/usr/bin" {
			return nil
		}
		look(filepath.Join(dir, "pyvenv.cfg"))
		look(filepath.Join(filepath.Dir(dir), "pyvenv.cfg"))
		if fi.Mode()&fs.ModeSymlink == 0 {
			if isScriptFile(at) {
				return nil
			}
			break
		}
		target, err := os.Readlink(at)
		if err != nil {
			return nil
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(dir, target)
		}
		at = target
	}
	for _, place := range id.Places {
		look(place)
	}
	return seen
}

// looksAtLinks is how many links may lead to a Python.
const looksAtLinks = 16

func isScriptFile(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return true
	}
	defer f.Close()
	head := make([]byte, 2)
	_, err = io.ReadFull(f, head)
	return err != nil || string(head) == "#!"
}

// packages lists what is installed for an interpreter.
func (c *depCapture) packages(ctx context.Context, in *Interpreter, freeze bool) {
	defer func() {
		in.Packages = countPackages(in.list)
		in.Added = in.Packages
		for line := range bytes.Lines(in.list) {
			if name, _, ok := bytes.Cut(line, []byte("==")); ok && slices.Contains([]string{"pip", "setuptools", "wheel"}, string(name)) {
				in.Added--
			}
		}
	}()
	l, ok := c.lists.list(in.installed)
	if !ok || freeze && in.Pip != ToolAbsent && !l.Asked {
		if l, ok = c.askForPackages(ctx, in, freeze); ok {
			c.lists.keepList(in.installed, l)
		}
	} else {
		c.lists.keepList(in.installed, l)
	}
	in.list = l.List
	if freeze {
		in.freeze = l.Freeze
	}
}

// askForPackages has a Python list its packages. ok is false if not all of it could be had.
func (c *depCapture) askForPackages(ctx context.Context, in *Interpreter, freeze bool) (l PackageList, ok bool) {
	if in.Pip == ToolAbsent {
		out, err := c.tools.run(ctx, in.Path, "-c", listing)
		if err != nil {
			return l, false
		}
		return PackageList{List: RedactURLs(lines(out))}, true
	}
	if freeze {
		if l, ok = c.askForBoth(ctx, in); ok {
			return l, true
		}
	}
	out, err := c.tools.run(ctx, in.Path, "-m", "pip", "list", "--format=freeze")
	if err == nil {
		l.List = RedactURLs(lines(out))
	}
	if freeze && err == nil {
		if out, err = c.tools.run(ctx, in.Path, "-m", "pip", "freeze"); err == nil {
			l.Freeze, l.Asked = RedactURLs(lines(out)), true
		}
	}
	if err != nil && ctx.Err() == nil {
		in.Pip = ToolFailed
		c.warn("pip of %s does not list its packages: %v", in.Path, err)
	}
	return l, err == nil
}

// askForBoth has one process print both lists. ok is false if it does not: one by one, each has its full time, and fails with
// a reason of its own. This has less time, so that a pip that hangs is not waited for twice as long.
func (c *depCapture) askForBoth(ctx context.Context, in *Interpreter) (l PackageList, ok bool) {
	ctx, cancel := context.WithTimeout(ctx, c.tools.timeout/4)
	defer cancel()
	out, err := c.tools.run(ctx, in.Path, "-c", listAndFreeze)
	parts := bytes.Split(out, []byte(listEnd))
	if err != nil || len(parts) != 2 {
		return l, false
	}
	return PackageList{List: RedactURLs(lines(parts[0])), Freeze: RedactURLs(lines(parts[1])), Asked: true}, true
}

// installedKey stands for what a Python said lies in its folders of packages; empty: nothing was said, or the lists depend
// on more than that.
func installedKey(id *identity) string {
	if len(id.Installed) == 0 {
		return ""
	}
	// It is an answer that was just decoded.
	b, _ := json.Marshal(id)
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
