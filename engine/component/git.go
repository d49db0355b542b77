package component

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// GitState says where a repository stands, so that a restore can bring back the history from its remote, and so that
// it is known what no remote has.
type GitState struct {
	// Present says that there is a .git; Problem, why the rest could not be found out. A number that is not known is -1.
	Present bool   `json:"present"`
	Problem string `json:"problem,omitempty"`
	// Head is the commit, empty before the first; Branch is empty when it is detached.
	Head   string `json:"head,omitempty"`
	Branch string `json:"branch,omitempty"`
	// Remotes are in the order of the configuration, without user names and passwords in their addresses.
	Remotes []GitRemote `json:"remotes,omitempty"`
	// NoRemote says that the history is on this machine only.
	NoRemote bool `json:"no_remote"`
	// Dirty counts changed files that git knows, Untracked those that it neither knows nor ignores.
	Dirty     int `json:"dirty"`
	Untracked int `json:"untracked"`
	// Unpushed counts the commits that no remote has, altogether; Branches by branch, "HEAD" when detached. Commits
	// of several branches count for each.
	Unpushed int         `json:"unpushed"`
	Branches []GitBranch `json:"branches,omitempty"`
	Stashes  int         `json:"stashes"`
	// Heads are the local branches as they stand, at most maxHeads.
	Heads []GitHead `json:"heads,omitempty"`
}

// GitHead is a local branch, its commit, and what it follows: a branch, as a reference such as refs/heads/main, of a
// remote. Both are empty if it follows nothing.
type GitHead struct {
	Name   string `json:"name"`
	Commit string `json:"commit"`
	Remote string `json:"remote,omitempty"`
	Merge  string `json:"merge,omitempty"`
}

// GitRemote is a remote with an address.
type GitRemote struct {
	Name string `json:"name"`
	URL  string `json:"url"`
}

// GitBranch is a branch with commits that no remote has.
type GitBranch struct {
	Name     string `json:"name"`
	Unpushed int    `json:"unpushed"`
}

// maxBranches is for how many branches commits are counted one by one, maxHeads how many are recorded.
const (
	maxBranches = 200
	maxHeads    = 2000
)

// CaptureGit asks git for the state of the repository whose .git lies in dir. Nothing is written, nobody contacted, and
// nothing is run that the repository's own configuration names: no hook, no file system monitor, no filter, no helper.
//
// The repository is named to git explicitly, which also spares the question whom it belongs to (safe.directory). A
// filter that changes content (Git LFS) is off, so a file that it would find unchanged can count as dirty if it was
// touched.
func CaptureGit(ctx context.Context, dir string, run Runner, goos string) GitState {
	s := GitState{Dirty: -1, Untracked: -1, Unpushed: -1, Stashes: -1}
	dotGit := filepath.Join(dir, ".git")
	if _, err := os.Lstat(dotGit); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return GitState{}
		}
		s.Present, s.Problem = true, Reason(err)
		return s
	}
	s.Present = true
	g := newGitCapture(dir, run, goos, &s)
	if err := g.capture(ctx); err != nil {
		s.Problem = "git does not answer: " + oneLine(err.Error())
		if absent(err) {
			s.Problem = "git is not installed"
		}
	}
	return s
}

// maxBundle is the largest bundle of commits that is kept, maxLasting the largest with what a remote may have, too: each backup has it
// anew. maxStashes is how many stashes are looked for.
const (
	maxBundle  = 50 << 20
	maxLasting = 2 << 20
	maxStashes = 1000
)

// BundleGit returns a git bundle of every branch's commits, HEAD's, and with stash those of the stashes, that no remote is sure to have,
// and how many stashes are in it: fewer than there are, or none, where git cannot bundle them or it would be too large. The newest is
// refs/stash in it, the others are refs/stashes/1, the second newest, and so on. It is nil where there is nothing to keep. The error
// says, for a person, why there is no bundle: it would be too large without stashes, too, or git fails.
func BundleGit(ctx context.Context, dir string, stash bool, run Runner, goos string) (bundle []byte, stashes int, err error) {
	g := newGitCapture(dir, run, goos, new(GitState))
	config, err := g.run(ctx, "config", "--list", "-z")
	if err == nil {
		err = g.configuration(config)
	}
	if err == nil {
		bundle, stashes, err = g.bundleHistory(ctx, stash)
	}
	switch {
	case errors.Is(err, errOutput):
		return nil, 0, fmt.Errorf("they take up more than %d MB", maxBundle>>20)
	case err != nil:
		return nil, 0, errors.New("git does not bundle them: " + oneLine(err.Error()))
	}
	return bundle, stashes, nil
}

// bundleHistory bundles as much as git can bundle and is not too large. What it leaves out, because a remote has it, has to be there
// at the restore: all of a bundle that is based on something else cannot be opened. A branch that was merged is often removed from
// the remote, and refs/remotes still has it.
func (g *gitCapture) bundleHistory(ctx context.Context, stash bool) ([]byte, int, error) {
	if without, lerr := g.lasting(ctx); lerr == nil && len(without) > 0 {
		if b, n, err := g.bundleAll(ctx, stash, without); err == nil && len(b) <= maxLasting {
			return b, n, nil
		}
	}
	remotes := []string{"--remotes"}
	if !stash {
		b, err := g.bundle(ctx, remotes)
		return b, 0, err
	}
	if without, ferr := g.followed(ctx); ferr == nil && len(without) > 0 {
		if b, n, err := g.bundleAll(ctx, true, without); err == nil {
			return b, n, nil
		}
	}
	// What is wrong with an old stash keeps nothing else out.
	b, err := g.bundle(ctx, remotes, "refs/stash")
	if err == nil && b != nil {
		return b, 1, nil
	}
	if b, berr := g.bundle(ctx, remotes); berr == nil && b != nil {
		return b, 0, nil
	}
	return nil, 0, err
}

// bundleAll bundles the commits, and with stash all stashes, which it names.
func (g *gitCapture) bundleAll(ctx context.Context, stash bool, without []string) ([]byte, int, error) {
	if !stash {
		b, err := g.bundle(ctx, without)
		return b, 0, err
	}
	out, err := g.run(ctx, "rev-list", "--walk-reflogs", "--max-count="+strconv.Itoa(maxStashes), "refs/stash")
	if err != nil {
		return nil, 0, err
	}
	stashes := strings.Fields(string(out))
	b, err := g.bundle(ctx, without, slices.Concat([]string{"refs/stash"}, stashes)...)
	if err != nil || b == nil {
		return nil, 0, err
	}
	return nameStashes(b, stashes)
}

// lasting returns where the main branches stand, which nobody removes, of the remotes that a restore may ask: each one's HEAD, or main, or
// master.
func (g *gitCapture) lasting(ctx context.Context) ([]string, error) {
	names := []string{"HEAD", "main", "master"}
	args := []string{"for-each-ref", "--format=%(objectname) %(refname:lstrip=2)"}
	for _, name := range names {
		args = append(args, "refs/remotes/*/"+name)
	}
	out, err := g.run(ctx, args...)
	if err != nil {
		return nil, err
	}
	type branch struct {
		commit string
		rank   int
	}
	best := map[string]branch{}
	for line := range strings.Lines(string(out)) {
		commit, ref, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		remote, name := path.Split(ref)
		if !slices.ContainsFunc(g.state.Remotes, func(r GitRemote) bool { return r.Name+"/" == remote && r.askable() }) {
			continue
		}
		rank := slices.Index(names, name)
		if b, ok := best[remote]; !ok || rank < b.rank {
			best[remote] = branch{commit, rank}
		}
	}
	var commits []string
	for _, b := range best {
		commits = append(commits, b.commit)
	}
	slices.Sort(commits)
	return commits, nil
}

// askable reports whether a restore asks a remote with such an address; it looks closer.
func (r GitRemote) askable() bool {
	if scheme, _, ok := strings.Cut(r.URL, "://"); ok {
		return scheme == "https" || scheme == "ssh" || scheme == "file"
	}
	return !strings.Contains(r.URL, "::")
}

// followed returns where the remotes' branches stand that ours follow or are called like, and their HEADs.
func (g *gitCapture) followed(ctx context.Context) ([]string, error) {
	out, err := g.run(ctx, "for-each-ref", "--format=%(upstream) refs/remotes/*/%(refname:lstrip=2)", "refs/heads")
	if err != nil {
		return nil, err
	}
	args := []string{"for-each-ref", "--format=%(objectname)", "refs/remotes/*/HEAD"}
	for ref := range strings.FieldsSeq(string(out)) {
		if strings.HasPrefix(ref, "refs/remotes/") {
			args = append(args, ref)
		}
	}
	out, err = g.run(ctx, args...) // those that are gone are left out
	return strings.Fields(string(out)), err
}

// bundle bundles the branches, HEAD and revs, without what the commits of without have. It is nil where nothing is left; errOutput: it
// is too large.
func (g *gitCapture) bundle(ctx context.Context, without []string, revs ...string) ([]byte, error) {
	revs = slices.Concat(revs, []string{"HEAD", "--branches", "--not"}, without)
	// Of nothing git makes no bundle, and says so in the user's language.
	if n, err := g.count(ctx, append([]string{"--max-count=1"}, revs...)...); err != nil || n == 0 {
		return nil, err
	}
	b, err := g.run(ctx, append([]string{"bundle", "create", "-q", "-"}, revs...)...)
	if err == nil && len(b) > maxBundle {
		err = errOutput
	}
	return b, err
}

// nameStashes gives the stashes of a bundle names. git bundles the commits of all, but only references get a line in the head,
// and all stashes but the newest have none: they stand in its log. It returns how many have one now.
func nameStashes(bundle []byte, stashes []string) ([]byte, int, error) {
	head, pack, ok := bytes.Cut(bundle, []byte("\n\n"))
	if !ok || !bytes.HasPrefix(head, []byte("# v")) {
		return nil, 0, errors.New("its bundle has no head")
	}
	lines := strings.Split(string(head), "\n")
	n := 0
	if slices.ContainsFunc(lines, func(line string) bool { return strings.HasSuffix(line, " refs/stash") }) {
		n = 1
	} // else a remote has its commit, and it gets another name
	if len(stashes) > 0 && slices.Contains(lines, stashes[0]+" refs/stash") {
		stashes = stashes[1:] // else one more came a moment ago
	}
	if len(stashes) == 0 {
		return bundle, n, nil
	}
	for i, commit := range stashes {
		lines = append(lines, commit+" refs/stashes/"+strconv.Itoa(i+1))
	}
	return slices.Concat([]byte(strings.Join(lines, "\n")+"\n\n"), pack), n + len(stashes), nil
}

func newGitCapture(dir string, run Runner, goos string, s *GitState) *gitCapture {
	return &gitCapture{t: newTools(run, goos, time.Minute), state: s, args: []string{
		"--git-dir=" + filepath.Join(dir, ".git"), "--work-tree=" + dir, "--no-pager", "--literal-pathspecs",
		"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.sshCommand=false",
		"-c", "core.pager=cat", "-c", "core.alternateRefsCommand=false", "-c", "diff.external=", "-c", "credential.helper=",
		"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "protocol.allow=never",
	}}
}

type gitCapture struct {
	t     *tools
	git   string // where git is, once it is known
	args  []string
	state *GitState
}

// run runs git with the options that keep the repository's configuration harmless.
func (g *gitCapture) run(ctx context.Context, args ...string) ([]byte, error) {
	all := slices.Concat(g.args, args)
	if g.git != "" {
		return g.t.run(ctx, g.git, all...)
	}
	git, out, err := g.t.first(ctx, g.t.lookUp("git", ""), all...)
	if err == nil {
		g.git = git
	}
	return out, err
}

func (g *gitCapture) capture(ctx context.Context) error {
	config, err := g.run(ctx, "config", "--list", "-z")
	if err != nil {
		return err
	}
	if err := g.configuration(config); err != nil {
		return err
	}
	if err := g.head(ctx); err != nil {
		return err
	}
	return errors.Join(g.status(ctx), g.commits(ctx))
}

// configuration reads the remotes and turns off every filter that is configured, whatever its name.
func (g *gitCapture) configuration(list []byte) error {
	filters := map[string]bool{}
	for item := range bytes.SplitSeq(list, []byte{0}) {
		key, value, _ := strings.Cut(string(item), "\n")
		section, rest, _ := strings.Cut(key, ".")
		dot := strings.LastIndexByte(rest, '.')
		if dot < 0 {
			continue
		}
		name, variable := rest[:dot], rest[dot+1:]
		switch {
		case section == "remote" && variable == "url":
			g.state.Remotes = append(g.state.Remotes, GitRemote{Name: name, URL: redactRemote(value)})
		case section == "filter" && !filters[name]:
			filters[name] = true
			if strings.Contains(name, "=") {
				// -c would take it for another name.
				return fmt.Errorf("the filter %.60q cannot be switched off", name)
			}
			for _, off := range []string{"clean=", "smudge=", "process=", "required=false"} {
				g.args = append(g.args, "-c", "filter."+name+"."+off)
			}
		}
	}
	g.state.NoRemote = len(g.state.Remotes) == 0
	return nil
}

// redactRemote takes out of a remote's address what may be secret. A query has no meaning for git, but for some hosts.
func redactRemote(address string) string {
	if strings.Contains(address, "://") {
		address, _, _ = strings.Cut(address, "?")
	}
	return string(RedactURLs([]byte(address)))
}

func (g *gitCapture) head(ctx context.Context) error {
	refs, err := g.run(ctx, "for-each-ref", "--format=%(HEAD)%00%(refname)%00%(objectname)%00%(upstream:remotename)%00%(upstream:remoteref)", "refs/heads")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(refs)) {
		parts := strings.Split(strings.TrimSuffix(line, "\n"), "\x00")
		if len(parts) != 5 {
			continue
		}
		name := strings.TrimPrefix(parts[1], "refs/heads/")
		if len(g.state.Heads) < maxHeads {
			head := GitHead{Name: name, Commit: parts[2]}
			if parts[3] != "" && parts[4] != "" {
				head.Remote, head.Merge = parts[3], parts[4]
			}
			g.state.Heads = append(g.state.Heads, head)
		}
		g.state.Branches = append(g.state.Branches, GitBranch{Name: name})
		if parts[0] == "*" {
			g.state.Branch, g.state.Head = name, parts[2]
		}
	}
	if g.state.Head != "" {
		return nil
	}
	// Detached, or a branch before its first commit.
	if out, err := g.run(ctx, "symbolic-ref", "-q", "HEAD"); err == nil {
		g.state.Branch = strings.TrimPrefix(strings.TrimSpace(string(out)), "refs/heads/")
		return nil
	}
	out, err := g.run(ctx, "rev-parse", "--verify", "-q", "HEAD^{commit}")
	if err != nil {
		return err
	}
	g.state.Head = strings.TrimSpace(string(out))
	g.state.Branches = append(g.state.Branches, GitBranch{Name: "HEAD"})
	return nil
}

// status counts changed and unknown files. What is in submodules is their own affair: to look into them git would run
// itself there, without these options.
func (g *gitCapture) status(ctx context.Context) error {
	out, err := g.run(ctx, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--ignore-submodules=dirty", "--no-renames")
	if err != nil {
		return err
	}
	g.state.Dirty, g.state.Untracked = 0, 0
	for item := range bytes.SplitSeq(out, []byte{0}) {
		switch {
		case len(item) == 0:
		case bytes.HasPrefix(item, []byte("??")):
			g.state.Untracked++
		default:
			g.state.Dirty++
		}
	}
	return nil
}

// commits counts what no remote has.
func (g *gitCapture) commits(ctx context.Context) error {
	s := g.state
	branches := s.Branches
	s.Branches = nil
	s.Unpushed, s.Stashes = 0, 0
	if len(branches) == 0 {
		return nil
	}
	heads := []string{"--branches"}
	if s.Head != "" {
		heads = append(heads, s.Head)
	}
	var err error
	if s.Unpushed, err = g.count(ctx, append(heads, "--not", "--remotes")...); err != nil {
		return err
	}
	for _, b := range branches[:min(len(branches), maxBranches)] {
		if s.Unpushed == 0 {
			break
		}
		ref := "refs/heads/" + b.Name
		if b.Name == "HEAD" && s.Branch == "" {
			ref = s.Head
		}
		if b.Unpushed, err = g.count(ctx, ref, "--not", "--remotes"); err != nil {
			return err
		}
		if b.Unpushed > 0 {
			s.Branches = append(s.Branches, b)
		}
	}
	if _, err := g.run(ctx, "rev-parse", "--verify", "-q", "refs/stash"); err == nil {
		s.Stashes, err = g.count(ctx, "--walk-reflogs", "refs/stash")
		if err == nil {
			s.Stashes = max(s.Stashes, 1) // its log may have expired
		}
		return err
	}
	return nil
}

func (g *gitCapture) count(ctx context.Context, args ...string) (int, error) {
	out, err := g.run(ctx, append([]string{"rev-list", "--count"}, args...)...)
	if err != nil {
		return -1, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return -1, errors.New("rev-list printed no number")
	}
	return n, nil
}
