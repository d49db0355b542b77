package component

import (
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"maia-dr/engine/vault"
)

// personal looks at what lies under home: agents, shell files, .netrc. Files that are links are captured as what they
// lead to: in a home made of links to a folder of settings, links alone would bring nothing back.
func (w *walker) personal() error {
	w.namedPersonal()
	if err := w.agents(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for _, name := range slices.Concat(DefaultShellFiles(), w.o.ShellFiles, []string{".netrc"}) {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		rel, ok := w.underHome(name)
		if !ok {
			w.leftOut(ShellConfigs, name, "it does not lie under the home folder", true, false)
			continue
		}
		if err := w.shell(rel, seen); err != nil {
			return err
		}
	}
	return nil
}

// underHome turns what the configuration names into a path relative to home.
func (w *walker) underHome(name string) (rel string, ok bool) {
	name = strings.TrimPrefix(name, "~/")
	if filepath.IsAbs(name) {
		var err error
		if name, err = filepath.Rel(w.o.Home, name); err != nil {
			return "", false
		}
	}
	name = path.Clean(name)
	return name, name != "." && name != ".." && !strings.HasPrefix(name, "../")
}

func (w *walker) secret(s SecretFile) {
	w.inv.Secrets = append(w.inv.Secrets, s)
	w.secretIDs[s.Stat.ID()] = &s
}

// resolve returns what a personal path leads to. ok is false if nothing is there or it was left out.
func (w *walker) resolve(component, rel, abs string) (source string, fi fs.FileInfo, ok bool) {
	at, err := w.sys.lstat(abs)
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil, false
	}
	if err == nil && at.Mode()&fs.ModeSymlink == 0 {
		return abs, at, true
	}
	if err == nil {
		if source, err = filepath.EvalSymlinks(abs); err == nil {
			fi, err = w.sys.lstat(source)
		}
	}
	if err != nil {
		reason := Reason(err)
		if errors.Is(err, fs.ErrNotExist) {
			reason = "it is a link to something that is not there"
		}
		w.leftOut(component, rel, reason, true, false)
		return "", nil, false
	}
	return source, fi, true
}

// agents captures the LaunchAgents.
func (w *walker) agents() error {
	dir := filepath.Join(w.o.Home, filepath.FromSlash(agentsDir))
	names, err := w.sys.list(dir, true)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.leftOut(LaunchAgents, agentsDir, "the folder cannot be listed: "+Reason(err), true, true)
	}
	var found []foundAgent
	var g errgroup.Group
	g.SetLimit(runtime.GOMAXPROCS(0))
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			_ = g.Wait() // no function fails
			return err
		}
		wanted := slices.ContainsFunc(slices.Concat(DefaultAgents(), w.o.Agents), func(p string) bool {
			ok, err := path.Match(p, name)
			return name == p || ok && err == nil
		})
		if !wanted {
			continue
		}
		source, fi, ok := w.resolve(LaunchAgents, name, filepath.Join(dir, name))
		if !ok {
			continue
		}
		if w.isNamed(fi) {
			continue
		}
		a := foundAgent{name: name, source: source, fi: fi, looked: new(lookedThrough)}
		found = append(found, a)
		if fi.Mode().IsRegular() && !w.sys.dataless(fi) {
			g.Go(func() error {
				a.looked.finding, a.looked.err = lookThrough(source, StatOf(fi).ID(), vault.Plist)
				return nil
			})
		}
	}
	_ = g.Wait() // no function fails
	for _, a := range found {
		w.agent(a)
	}
	return nil
}

// foundAgent is a file in the agents' folder. Those that can be are looked through at the same time.
type foundAgent struct {
	name, source string
	fi           fs.FileInfo
	looked       *lookedThrough
}

type lookedThrough struct {
	finding
	err error
}

func (w *walker) agent(a foundAgent) {
	name, source, fi := a.name, a.source, a.fi
	if !fi.Mode().IsRegular() {
		reason := "it is a folder"
		if !fi.IsDir() {
			reason = special(fi.Mode())
		}
		w.leftOut(LaunchAgents, name, reason, fi.IsDir(), fi.IsDir())
		return
	}
	if w.sys.dataless(fi) {
		w.leftOut(LaunchAgents, name, "its content is in the cloud only and was not downloaded", true, false)
		return
	}
	x, err := a.looked.finding, a.looked.err
	if err != nil {
		w.leftOut(LaunchAgents, name, Reason(err), true, false)
		return
	}
	if x.top != nil {
		w.inv.Agents = append(w.inv.Agents, agentOf(name, x.top))
	}
	if x.reason != "" {
		w.secret(x.secretFile(LaunchAgents, name, source, fi))
		return
	}
	w.personalEntry(LaunchAgents, name, source, File, fi, "")
}

func (w *walker) personalEntry(component, rel, source string, kind Kind, fi fs.FileInfo, link string) {
	w.inv.Entries = append(w.inv.Entries, Entry{
		Component: component, Path: rel, Source: source, Kind: kind, Mode: modeOf(fi), Stat: StatOf(fi), Link: link,
	})
}

// shell captures one of the named shell files or folders. seen are the paths that are done.
func (w *walker) shell(rel string, seen map[string]bool) error {
	if seen[rel] {
		return nil
	}
	source, fi, ok := w.resolve(ShellConfigs, rel, filepath.Join(w.o.Home, filepath.FromSlash(rel)))
	if !ok {
		return nil
	}
	if fi.IsDir() {
		return w.shellFolder(rel, source, fi, seen)
	}
	w.shellFile(rel, source, fi, seen)
	return nil
}

func (w *walker) shellFolder(rel, source string, fi fs.FileInfo, seen map[string]bool) error {
	if w.own[StatOf(fi).ID()] || seen[rel] {
		return nil
	}
	seen[rel] = true
	names, err := w.sys.list(source, true)
	if err != nil {
		w.leftOut(ShellConfigs, rel, "the folder cannot be listed: "+Reason(err), true, true)
		if len(names) == 0 {
			return nil
		}
	}
	w.personalEntry(ShellConfigs, rel, source, Dir, fi, "")
	for _, name := range names {
		if err := w.ctx.Err(); err != nil {
			return err
		}
		if err := w.shellChild(join(rel, name), source+"/"+name, seen); err != nil {
			return err
		}
	}
	return nil
}

// shellChild captures what lies in a folder of settings. A link to a file is captured as the file, other links as
// links: a folder they lead to may contain this one.
func (w *walker) shellChild(rel, abs string, seen map[string]bool) error {
	fi, err := w.sys.lstat(abs)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		w.leftOut(ShellConfigs, rel, Reason(err), true, false)
		return nil
	case fi.IsDir():
		return w.shellFolder(rel, abs, fi, seen)
	case fi.Mode()&fs.ModeSymlink == 0:
		w.shellFile(rel, abs, fi, seen)
		return nil
	}
	if source, err := filepath.EvalSymlinks(abs); err == nil {
		if to, err := w.sys.lstat(source); err == nil && to.Mode().IsRegular() {
			w.shellFile(rel, source, to, seen)
			return nil
		}
	}
	target, err := os.Readlink(abs)
	if err != nil {
		w.leftOut(ShellConfigs, rel, Reason(err), true, false)
		return nil
	}
	if !seen[rel] {
		seen[rel] = true
		w.personalEntry(ShellConfigs, rel, abs, Symlink, fi, target)
	}
	return nil
}

func (w *walker) shellFile(rel, source string, fi fs.FileInfo, seen map[string]bool) {
	if seen[rel] {
		return
	}
	seen[rel] = true
	if w.isNamed(fi) {
		return
	}
	switch {
	case !fi.Mode().IsRegular():
		w.leftOut(ShellConfigs, rel, special(fi.Mode()), false, false)
		return
	case w.sys.dataless(fi):
		w.leftOut(ShellConfigs, rel, "its content is in the cloud only and was not downloaded", true, false)
		return
	}
	x, err := personalSecret(source, rel, StatOf(fi).ID())
	switch {
	case err != nil:
		w.leftOut(ShellConfigs, rel, Reason(err), true, false)
	case x.reason != "":
		w.secret(x.secretFile(ShellConfigs, rel, source, fi))
	default:
		w.personalEntry(ShellConfigs, rel, source, File, fi, "")
	}
}
