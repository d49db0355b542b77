package repository

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Git says where the git repository of a Maia root stood, so that a restore can bring it back from its remotes and
// from the bundle in the vault. Names and addresses are data: who uses them checks them first.
type Git struct {
	// Head is the commit, Branch the branch it is of; empty when it was detached.
	Head, Branch string
	// Changed and Unknown count the files that git status named, Unpushed the commits that no remote had, Stashes the
	// stashes.
	Changed, Unknown, Unpushed, Stashes int
	// Branches are the local ones, Remotes what is known as where.
	Branches []GitBranch
	Remotes  []GitRemote
}

// GitBranch is a local branch and what it follows, if anything: a reference of a remote.
type GitBranch struct{ Name, Commit, Remote, Merge string }

// GitRemote is a remote. Its address is without user name and password.
type GitRemote struct{ Name, URL string }

func (g *Git) writeLines(line func(fields ...string)) {
	line("git", "state", g.Head, EncodeLine(g.Branch), strconv.Itoa(g.Changed), strconv.Itoa(g.Unknown), strconv.Itoa(g.Unpushed), strconv.Itoa(g.Stashes))
	for _, b := range g.Branches {
		line("git", "branch", b.Commit, EncodeLine(b.Name), EncodeLine(b.Remote), EncodeLine(b.Merge))
	}
	for _, r := range g.Remotes {
		line("git", "remote", EncodeLine(r.Name), EncodeLine(r.URL))
	}
}

// IsCommit reports whether s is a commit's name as git writes it: SHA-1 or SHA-256 in lower-case hexadecimal digits.
func IsCommit(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}

func (p *indexParser) git(f []string) error {
	switch {
	case f[1] == "state" && len(f) == 8:
		return p.gitState(f)
	case p.x.Git == nil:
		return errors.New("git without its state")
	case f[1] == "branch" && len(f) == 6:
		return p.gitBranch(f)
	case f[1] == "remote" && len(f) == 4:
		name, err1 := DecodeLine(f[2])
		url, err2 := DecodeLine(f[3])
		p.x.Git.Remotes = append(p.x.Git.Remotes, GitRemote{name, url})
		return errors.Join(err1, err2)
	}
	return fmt.Errorf("git %.20q", f[1])
}

func (p *indexParser) gitState(f []string) error {
	if p.x.Git != nil || !IsCommit(f[2]) {
		return errors.New("git state")
	}
	branch, err := DecodeLine(f[3])
	g := &Git{Head: f[2], Branch: branch}
	for i, n := range []*int{&g.Changed, &g.Unknown, &g.Unpushed, &g.Stashes} {
		v, nerr := parseCanonical(f[4+i])
		if nerr == nil && v > math.MaxInt32 {
			nerr = fmt.Errorf("number %.40q", f[4+i])
		}
		err = errors.Join(err, nerr)
		*n = int(v)
	}
	p.x.Git = g
	return err
}

func (p *indexParser) gitBranch(f []string) error {
	var b GitBranch
	var err error
	for i, s := range []*string{&b.Name, &b.Remote, &b.Merge} {
		var derr error
		*s, derr = DecodeLine(f[3+i])
		err = errors.Join(err, derr)
	}
	if b.Commit = f[2]; !IsCommit(b.Commit) || b.Name == "" {
		err = errors.Join(err, errors.New("git branch"))
	}
	p.x.Git.Branches = append(p.x.Git.Branches, b)
	return err
}
