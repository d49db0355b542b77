package component

import (
	"bytes"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"

	"golang.org/x/sys/unix"
)

// pythonName matches the names by which a Python is run.
var pythonName = regexp.MustCompile(`^python([0-9]+(\.[0-9]+)?)?$`)

// ProgramPath returns where the agent's program should lie: launchd looks a bare name up. ok is false if there is no
// such program that can be run.
func (a *Agent) ProgramPath() (path string, ok bool) {
	if a.Program == "" {
		return "", false
	}
	path, err := lookUp(a.Program, filepath.SplitList(launchdPath))
	if err != nil || !filepath.IsAbs(path) {
		return a.Program, false
	}
	fi, err := os.Stat(path)
	return path, err == nil && !fi.IsDir() && unix.Access(path, unix.X_OK) == nil
}

// launchdPath is where launchd looks for programs.
const launchdPath = "/usr/bin:/bin:/usr/sbin:/sbin"

// want is an interpreter that something names.
type want struct {
	// paths are tried in this order; a name without a slash is looked up.
	paths []string
	// by says who names it: an agent, a script, or an environment's folder.
	by            string
	agent, script bool
}

func (w want) key() string { return strings.Join(w.paths, "\x00") }

// wanted returns the Pythons that agents, scripts under the root and virtual environments name, in this order.
func (c *depCapture) wanted() (list []want) {
	inv := c.inv
	for i := range inv.Agents {
		a := &inv.Agents[i]
		if paths := c.agentPython(a); len(paths) > 0 {
			list = append(list, want{paths: paths, agent: true, by: a.File})
		}
	}
	for i := range inv.Entries {
		if e := &inv.Entries[i]; isScript(e) {
			if paths := c.shebangPython(e.Source, e.Stat.ID(), ""); len(paths) > 0 {
				list = append(list, want{paths: paths, script: true, by: e.Path})
			}
		}
	}
	for _, v := range inv.VirtualEnvs {
		bin := filepath.Join(inv.Root, filepath.FromSlash(v.Path), "bin")
		list = append(list, want{paths: []string{filepath.Join(bin, "python"), filepath.Join(bin, "python3")}, by: v.Path})
	}
	return list
}

// isScript tells which files may begin with "#!".
func isScript(e *Entry) bool {
	return UnderRoot(e.Component) && e.Kind == File && (e.Mode&0o111 != 0 || path.Ext(e.Path) == ".py")
}

// agentPython returns where an agent's Python may be; nothing if it runs none that can be seen.
func (c *depCapture) agentPython(a *Agent) []string {
	args := a.arguments
	if a.Program != "" && (len(args) == 0 || a.Program != args[0]) {
		args = append([]string{a.Program}, args[min(1, len(args)):]...)
	}
	if len(args) == 0 {
		return nil
	}
	search := a.path
	if search == "" {
		search = launchdPath
	}
	if path.Base(args[0]) == "env" {
		return c.envPython(args[1:], search)
	}
	if paths := c.pythonAt(args[0], search); paths != nil {
		return paths
	}
	// A script that is run by its own first line, or by a shell.
	for _, arg := range args[:min(2, len(args))] {
		if filepath.IsAbs(arg) && strings.HasPrefix(arg, c.inv.Root+"/") {
			if fi, err := realSystem().lstat(arg); err == nil && fi.Mode().IsRegular() {
				return c.shebangPython(arg, StatOf(fi).ID(), search)
			}
		}
	}
	return nil
}

// pythonAt returns where a program is if it is a Python.
func (c *depCapture) pythonAt(program, search string) []string {
	switch {
	case !pythonName.MatchString(path.Base(program)):
		return nil
	case filepath.IsAbs(program):
		return []string{program}
	case strings.Contains(program, "/"):
		return nil
	}
	return c.tools.lookUp(program, search)
}

// envPython reads the arguments of env(1).
func (c *depCapture) envPython(args []string, search string) []string {
	for _, arg := range args {
		if !strings.HasPrefix(arg, "-") && !strings.Contains(arg, "=") {
			return c.pythonAt(arg, search)
		}
	}
	return nil
}

// shebangPython returns the Python that a script's first line names.
func (c *depCapture) shebangPython(source string, id FileID, search string) []string {
	f, err := openRegular(source, id)
	if err != nil {
		return nil
	}
	defer f.Close()
	b := make([]byte, 256)
	n, _ := f.Read(b)
	line, ok := bytes.CutPrefix(b[:n], []byte("#!"))
	if !ok {
		return nil
	}
	line, _, _ = bytes.Cut(line, []byte("\n"))
	args := strings.Fields(string(line))
	switch {
	case len(args) == 0:
		return nil
	case path.Base(args[0]) == "env":
		return c.envPython(args[1:], search)
	}
	return c.pythonAt(args[0], search)
}
