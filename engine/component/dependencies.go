package component

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

// The files of the component Dependencies.
const (
	FreezeFile   = "requirements_freeze.txt"
	PipListFile  = "pip_list.txt"
	BrewListFile = "brew_packages.txt"
	Brewfile     = "Brewfile"
)

// Deps is what is needed to list packages. Inventory and Run are required.
type Deps struct {
	Inventory *Inventory
	Run       Runner
	// GOOS is the system; empty: this one.
	GOOS string
	// Timeout is for each tool; 0: DefaultTimeout.
	Timeout time.Duration
	// Lists may be nil. It saves asking for lists that are known.
	Lists *PackageLists
	// Search is the search path of Run. Without it, a Python that is named without its folder is asked each time.
	Search string
}

// Tool states.
const (
	ToolPresent = "present"
	ToolAbsent  = "absent"
	ToolFailed  = "failed"
)

// DependencyInfo says what was asked and what it had. It is stored in the manifest.
type DependencyInfo struct {
	// Interpreters begin with the one that most agents use.
	Interpreters []Interpreter `json:"interpreters"`
	// Freeze is the path of the interpreter that requirements_freeze.txt is of; empty: there is none.
	Freeze string `json:"freeze,omitempty"`
	// Pip and Brew are ToolPresent, ToolAbsent or ToolFailed; BrewPrefix is where Homebrew lies.
	Pip        string `json:"pip"`
	Brew       string `json:"brew"`
	BrewPrefix string `json:"brew_prefix,omitempty"`
	// PipPackages counts the packages of the first interpreter, BrewPackages Homebrew's formulae.
	PipPackages  int `json:"pip_packages"`
	BrewPackages int `json:"brew_packages"`
	// Absent are the Pythons that agents name and that are not there, each with the agent.
	Absent []string `json:"absent,omitempty"`
	// VirtualEnvs are to be rebuilt after a restore.
	VirtualEnvs []VirtualEnv `json:"virtual_envs,omitempty"`
}

// Interpreter is a Python that something under the root or an agent names.
type Interpreter struct {
	Path    string `json:"path"`
	Version string `json:"version"`
	// Agents and Scripts are how many agents and scripts under the root use it.
	Agents  int `json:"agents"`
	Scripts int `json:"scripts"`
	// Pip is the state of its pip, Packages how many it lists.
	Pip      string `json:"pip"`
	Packages int    `json:"packages"`
	// Added counts those besides pip, setuptools and wheel, which every environment has.
	Added int `json:"added"`
	// Managed: others look after it (PEP 668), and pip refuses to install into it.
	Managed bool `json:"managed,omitempty"`
	// Named are the paths by which agents name it.
	Named []string `json:"named,omitempty"`

	prefix    string
	installed string // stands for what is installed; empty: unknown
	list      []byte
	freeze    []byte
}

// CaptureDependencies asks the tools for what is installed and returns the files of the component by name; a tool that
// is not there has no file. Warnings are about tools that are there and fail. It returns early, with what it has, when
// ctx is done.
func CaptureDependencies(ctx context.Context, d Deps) (files map[string][]byte, info DependencyInfo, warnings []string) {
	c := &depCapture{inv: d.Inventory, tools: newTools(d.Run, d.GOOS, d.Timeout), lists: d.Lists, search: filepath.SplitList(d.Search), files: map[string][]byte{}}
	if c.lists == nil {
		c.lists = new(PackageLists)
	}
	c.info.VirtualEnvs = d.Inventory.VirtualEnvs
	var g errgroup.Group
	g.Go(func() error { c.pythons(ctx); return nil })
	g.Go(func() error { c.brew(ctx); return nil })
	_ = g.Wait() // neither fails
	slices.Sort(c.warnings)
	return c.files, c.info, slices.Compact(c.warnings)
}

// depCapture collects the results of one CaptureDependencies.
type depCapture struct {
	inv   *Inventory
	tools *tools
	lists *PackageLists

	search  []string
	answers sync.Map // of Pythons, by the path asked for: func() (identity, error)

	mu       sync.Mutex
	files    map[string][]byte
	info     DependencyInfo
	warnings []string
}

func (c *depCapture) warn(format string, args ...any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.warnings = append(c.warnings, fmt.Sprintf(format, args...))
}

func (c *depCapture) file(name string, content []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.files[name] = content
}

// pythons finds the interpreters and lists their packages.
func (c *depCapture) pythons(ctx context.Context) {
	found := c.interpreters(ctx)
	var g errgroup.Group
	g.SetLimit(4)
	for i, in := range found {
		g.Go(func() error { c.packages(ctx, in, i == 0); return nil })
	}
	_ = g.Wait() // no function fails
	c.info.Pip = ToolAbsent
	var all bytes.Buffer
	for i, in := range found {
		c.info.Interpreters = append(c.info.Interpreters, *in)
		if in.Pip != ToolAbsent && c.info.Pip != ToolPresent {
			c.info.Pip = in.Pip
		}
		if i == 0 {
			c.info.PipPackages = in.Packages
			if in.freeze != nil {
				c.info.Freeze = in.Path
				c.file(FreezeFile, in.freeze)
			}
		}
		if in.list != nil {
			note := ""
			if in.Pip != ToolPresent {
				note = " (no pip there; from importlib.metadata)"
			}
			fmt.Fprintf(&all, "# %s %s%s\n%s", oneLine(in.Path), oneLine(in.Version), note, in.list)
		}
	}
	if all.Len() > 0 {
		c.file(PipListFile, all.Bytes())
	}
}

// oneLine keeps a comment a comment.
func oneLine(s string) string { return strings.NewReplacer("\n", " ", "\r", " ").Replace(s) }

// interpreters returns the Pythons that are named and there, the one that most agents use first, then by scripts. If
// neither names one, the one that the user's shell finds comes first.
func (c *depCapture) interpreters(ctx context.Context) []*Interpreter {
	type place struct{ prefix, version string } // the same packages
	type answer struct {
		*Interpreter
		name string // by which it was asked for
	}
	byPlace := map[place]*Interpreter{}
	byWant := map[string]answer{}
	var found []*Interpreter
	resolve := func(w want) answer {
		key := w.key()
		a, known := byWant[key]
		if !known {
			if in := c.interpreter(ctx, w); in != nil {
				at := place{in.prefix, in.Version}
				if byPlace[at] == nil {
					byPlace[at] = in
					found = append(found, in)
				}
				a = answer{byPlace[at], in.Path}
			}
			byWant[key] = a
		}
		return a
	}
	used := false
	wanted := c.wanted()
	c.askAhead(ctx, wanted)
	for _, w := range wanted {
		in := resolve(w)
		if in.Interpreter == nil {
			continue
		}
		if w.agent {
			in.Agents++
			if !slices.Contains(in.Named, in.name) {
				in.Named = append(in.Named, in.name)
			}
		}
		if w.script {
			in.Scripts++
		}
		used = used || w.agent || w.script
	}
	var usual *Interpreter
	if !used {
		usual = resolve(want{paths: c.tools.lookUp("python3", ""), by: "nobody else"}).Interpreter
	}
	slices.SortStableFunc(found, func(a, b *Interpreter) int {
		return cmp.Or(cmp.Compare(b.Agents, a.Agents), cmp.Compare(b.Scripts, a.Scripts), compareBool(b == usual, a == usual))
	})
	return found
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// askAhead asks all Pythons at once: each takes as long as one takes to start.
func (c *depCapture) askAhead(ctx context.Context, wanted []want) {
	var g errgroup.Group
	g.SetLimit(4)
	for _, w := range wanted {
		g.Go(func() error {
			_, _ = c.identify(ctx, w.paths[0]) // kept for whoever wants it
			return nil
		})
	}
	_ = g.Wait() // no function fails
}

// identify asks a Python who it is, once.
func (c *depCapture) identify(ctx context.Context, python string) (identity, error) {
	if path, err := lookUp(python, c.search); err == nil {
		python = path // what a bare name means may change
	}
	ask, _ := c.answers.LoadOrStore(python, sync.OnceValues(func() (identity, error) {
		if id, ok := c.lists.python(python, c.tools.goos); ok {
			return id, nil
		}
		id, err := c.tools.identify(ctx, python)
		if err == nil {
			c.lists.remember(python, id, c.tools.goos)
		}
		return id, err
	}))
	return ask.(func() (identity, error))()
}

// interpreter asks at the first place where there is something.
func (c *depCapture) interpreter(ctx context.Context, w want) *Interpreter {
	for _, p := range w.paths {
		id, err := c.identify(ctx, p)
		switch {
		case err == nil:
			in := &Interpreter{Path: id.Executable, Version: id.Version, Pip: ToolAbsent, Managed: id.Managed, prefix: id.Prefix, installed: installedKey(&id)}
			if id.Pip {
				in.Pip = ToolPresent
			}
			return in
		case ctx.Err() != nil:
			return nil
		case absent(err):
			continue
		}
		if !w.script {
			c.warn("the Python %s, named by %s, does not run: %v", p, w.by, err)
		}
		return nil
	}
	if w.agent {
		c.mu.Lock()
		c.info.Absent = append(c.info.Absent, fmt.Sprintf("%s, named by the agent %s", w.paths[0], w.by))
		c.mu.Unlock()
	}
	return nil
}

// lines ends a tool's output with a newline and never returns nil.
func lines(b []byte) []byte {
	b = bytes.TrimRight(bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n")), "\n")
	if len(b) == 0 {
		return []byte{}
	}
	return append(bytes.Clone(b), '\n')
}

// countPackages counts the lines that are no comment.
func countPackages(b []byte) (n int) {
	for line := range bytes.Lines(b) {
		if line = bytes.TrimSpace(line); len(line) > 0 && line[0] != '#' {
			n++
		}
	}
	return n
}

// brew asks Homebrew.
func (c *depCapture) brew(ctx context.Context) {
	brew, list, err := c.findBrew(ctx)
	switch {
	case ctx.Err() != nil:
		return
	case err != nil && absent(err):
		c.info.Brew = ToolAbsent
		return
	}
	c.info.Brew = ToolPresent
	if err == nil {
		list = lines(list)
		c.info.BrewPackages = countPackages(list)
		c.file(BrewListFile, list)
	}
	if path.IsAbs(brew) {
		c.info.BrewPrefix = path.Dir(path.Dir(brew))
	} else if out, perr := c.tools.run(ctx, brew, "--prefix"); perr == nil {
		c.info.BrewPrefix = strings.TrimSpace(string(out))
	}
	dump, derr := c.tools.run(ctx, brew, "bundle", "dump", "--file=-")
	if derr == nil {
		c.file(Brewfile, RedactURLs(lines(dump)))
	}
	if err := errors.Join(err, derr); err != nil && ctx.Err() == nil {
		c.info.Brew = ToolFailed
		c.warn("Homebrew does not list its packages: %s", oneLine(err.Error()))
	}
}

// findBrew tries each place where Homebrew may be, and returns the list of its formulae from the first.
func (c *depCapture) findBrew(ctx context.Context) (brew string, list []byte, err error) {
	places := make([]string, 0, len(brewPlaces)+1)
	for _, dir := range brewPlaces {
		places = append(places, path.Join(dir, "brew"))
	}
	return c.tools.first(ctx, append(places, "brew"), "list", "--formula")
}
