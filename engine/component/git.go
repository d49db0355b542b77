package component

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
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
	// Unpushed counts the commits that no remote has of which a restore fetches, altogether; Branches by branch, "HEAD" when detached. Commits
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

// The names and addresses that a restore lets git at, as restore_maia.sh has them (choose_remotes).
var (
	remoteName    = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,99}$`)
	remoteURL     = regexp.MustCompile(`^(https|ssh)://([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]*(:[0-9]+)?/[^-]`)
	remoteSCP     = regexp.MustCompile(`^([A-Za-z0-9_][A-Za-z0-9._-]*@)?[A-Za-z0-9][A-Za-z0-9.-]+:[A-Za-z0-9_~./]`)
	folderUpwards = regexp.MustCompile(`/\.\.?(/|$)|//`)
)

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

func newGitCapture(dir string, run Runner, goos string, s *GitState) *gitCapture {
	return &gitCapture{t: newTools(run, goos, time.Minute), dir: dir, state: s, args: []string{
		"--git-dir=" + filepath.Join(dir, ".git"), "--work-tree=" + dir, "--no-pager", "--literal-pathspecs",
		"-c", "core.fsmonitor=false", "-c", "core.hooksPath=/dev/null", "-c", "core.sshCommand=false",
		"-c", "core.pager=cat", "-c", "core.alternateRefsCommand=false", "-c", "diff.external=", "-c", "credential.helper=",
		"-c", "gc.auto=0", "-c", "maintenance.auto=false", "-c", "protocol.allow=never",
	}}
}

type gitCapture struct {
	t     *tools
	dir   string // the folder that .git lies in
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

// asks reports whether a restore fetches from a remote: not where its name or address is unusual, or it came with the backup.
func (g *gitCapture) asks(r GitRemote) bool {
	if !remoteName.MatchString(r.Name) || strings.Contains(r.Name, "..") || strings.HasSuffix(r.Name, ".") || strings.HasSuffix(r.Name, ".lock") {
		return false
	}
	if r.isFolder() {
		folder := strings.TrimPrefix(r.URL, "file://")
		return !folderUpwards.MatchString(folder) && !strings.HasPrefix(folder+"/", g.dir+"/")
	}
	if strings.ContainsFunc(r.URL, func(c rune) bool { return c <= ' ' || c > '~' || c == '\\' }) {
		return false
	}
	return remoteURL.MatchString(r.URL) || remoteSCP.MatchString(r.URL) && !strings.Contains(r.URL, "://")
}

func (r GitRemote) isFolder() bool {
	return strings.HasPrefix(strings.TrimPrefix(r.URL, "file://"), "/")
}

// known returns, as revisions, what the remotes had that a restore asks.
func (g *gitCapture) known() (revs []string) {
	for _, r := range g.state.Remotes {
		if g.asks(r) {
			revs = append(revs, "--glob=refs/remotes/"+r.Name+"/*")
		}
	}
	return revs
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
	elsewhere := append([]string{"--not"}, g.known()...)
	if s.Unpushed, err = g.count(ctx, append(heads, elsewhere...)...); err != nil {
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
		if b.Unpushed, err = g.count(ctx, append([]string{ref}, elsewhere...)...); err != nil {
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
