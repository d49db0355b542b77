package component

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// maxBundle is the largest bundle of commits that is kept, maxExtra how much of it a remote may have, too: each backup has it anew.
// maxStashes is how many stashes are looked for.
const (
	maxBundle  = 50 << 20
	maxExtra   = 2 << 20
	maxStashes = 1000
)

// BundleGit returns a git bundle of every branch's commits, HEAD's, and those of the stashes, that no remote is sure to have, and how
// many stashes are in it: fewer than there are, or none, where git cannot bundle them or it would be too large. The newest is
// refs/stash in it, the others are refs/stashes/1, the second newest, and so on. It is nil where there is nothing to keep. s is what
// CaptureGit said. The error says, for a person, why there is no bundle: it would be too large without stashes, too, or git fails.
func BundleGit(ctx context.Context, dir string, s GitState, run Runner, goos string) (bundle []byte, stashes int, err error) {
	g := newGitCapture(dir, run, goos, &GitState{})
	config, err := g.run(ctx, "config", "--list", "-z")
	if err == nil {
		err = g.configuration(config)
	}
	if err == nil {
		revs := []string{"--branches"}
		if s.Head != "" {
			revs = append(revs, "HEAD")
		}
		bundle, stashes, err = g.bundleHistory(ctx, revs, s.Stashes > 0)
	}
	switch {
	case errors.Is(err, errOutput):
		return nil, 0, fmt.Errorf("they take up more than %d MB", maxBundle>>20)
	case err != nil:
		return nil, 0, errors.New("git does not bundle them: " + oneLine(err.Error()))
	}
	return bundle, stashes, nil
}

// bundleHistory bundles revs, and with stash the stashes, or as many as git can bundle and are not too large.
func (g *gitCapture) bundleHistory(ctx context.Context, revs []string, stash bool) ([]byte, int, error) {
	all := revs
	var stashes []string
	if stash {
		out, err := g.run(ctx, "rev-list", "--walk-reflogs", "--max-count="+strconv.Itoa(maxStashes), "refs/stash")
		if err == nil {
			stashes = strings.Fields(string(out))
		}
		all = slices.Concat(revs, []string{"refs/stash"}, stashes)
	}
	without := g.surelyElsewhere(ctx, all)
	if !stash {
		b, err := g.bundle(ctx, without, revs)
		return b, 0, err
	}
	if b, err := g.bundle(ctx, without, all); err == nil && b != nil {
		return nameStashes(b, stashes)
	}
	// What is wrong with an old stash keeps nothing else out.
	without = g.surelyElsewhere(ctx, revs)
	b, err := g.bundle(ctx, without, append(slices.Clip(revs), "refs/stash"))
	if err == nil && b != nil {
		return b, 1, nil
	}
	if b, berr := g.bundle(ctx, without, revs); berr == nil && b != nil {
		return b, 0, nil
	}
	return nil, 0, err
}

// surelyElsewhere returns, as revisions, what a bundle of revs leaves out because a remote has it. All of a bundle that is based on what
// no remote has at the restore cannot be opened, and a branch that was merged is often removed there, while refs/remotes still has it. So
// what the remotes' main branches lack is kept as well, or else what is on no branch that ours follow, where that adds little.
func (g *gitCapture) surelyElsewhere(ctx context.Context, revs []string) []string {
	known := g.known()
	// The oldest commits of a shallow clone look like the first of their history: no bundle of them can be put back.
	if out, err := g.run(ctx, "rev-parse", "--is-shallow-repository"); err != nil || strings.TrimSpace(string(out)) != "false" {
		return known
	}
	least, err := g.diskUsage(ctx, known, revs)
	if err != nil {
		return known
	}
	for _, fewer := range []func(context.Context) ([]string, error){g.mainBranches, g.followed} {
		without, err := fewer(ctx)
		if err != nil {
			continue
		}
		if n, err := g.diskUsage(ctx, without, revs); err == nil && n <= least+maxExtra {
			return without
		}
	}
	return known
}

// diskUsage returns how many bytes the objects take up that revs have and without has not: about as many as in a bundle.
func (g *gitCapture) diskUsage(ctx context.Context, without, revs []string) (int, error) {
	out, err := g.run(ctx, slices.Concat([]string{"rev-list", "--objects", "--disk-usage"}, revs, []string{"--not"}, without)...)
	if err != nil {
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSpace(string(out)))
	if err != nil {
		return 0, errors.New("rev-list printed no number")
	}
	return n, nil
}

// mainBranches returns where the main branches stand, which nobody removes, of the remotes that a restore asks. A folder may be on the
// disk that is lost: it counts where there is nothing else.
func (g *gitCapture) mainBranches(ctx context.Context) ([]string, error) {
	names := []string{"HEAD", "main", "master", "develop", "trunk"}
	var elsewhere, folders []string
	for _, r := range g.state.Remotes {
		if !g.asks(r) {
			continue
		}
		args := []string{"for-each-ref", "--format=%(objectname) %(refname:lstrip=3)"}
		for _, name := range names {
			args = append(args, "refs/remotes/"+r.Name+"/"+name)
		}
		out, err := g.run(ctx, args...)
		if err != nil {
			return nil, err
		}
		best := map[string]string{}
		for line := range strings.Lines(string(out)) {
			commit, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			best[name] = commit
		}
		i := slices.IndexFunc(names, func(name string) bool { return best[name] != "" })
		switch {
		case i < 0:
		case r.isFolder():
			folders = append(folders, best[names[i]])
		default:
			elsewhere = append(elsewhere, best[names[i]])
		}
	}
	if len(elsewhere) > 0 {
		return elsewhere, nil
	}
	return folders, nil
}

// followed returns where the remotes' branches stand that ours follow or are called like, and their HEADs.
func (g *gitCapture) followed(ctx context.Context) ([]string, error) {
	out, err := g.run(ctx, "for-each-ref", "--format=%(upstream) %(refname:lstrip=2)", "refs/heads")
	if err != nil {
		return nil, err
	}
	args := []string{"for-each-ref", "--format=%(objectname)"}
	for _, r := range g.state.Remotes {
		if !g.asks(r) {
			continue
		}
		of := "refs/remotes/" + r.Name + "/"
		args = append(args, of+"HEAD")
		for line := range strings.Lines(string(out)) {
			upstream, name, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
			args = append(args, of+name)
			if strings.HasPrefix(upstream, of) {
				args = append(args, upstream)
			}
		}
	}
	if len(args) == 2 {
		return nil, nil
	}
	out, err = g.run(ctx, args...) // those that are gone are left out
	return strings.Fields(string(out)), err
}

// bundle bundles revs without what without has. It is nil where nothing is left; errOutput: it is too large.
func (g *gitCapture) bundle(ctx context.Context, without, revs []string) ([]byte, error) {
	args := slices.Concat(revs, []string{"--not"}, without)
	// Of nothing git makes no bundle, and says so in the user's language.
	if n, err := g.count(ctx, append([]string{"--max-count=1"}, args...)...); err != nil || n == 0 {
		return nil, err
	}
	b, err := g.run(ctx, append([]string{"bundle", "create", "-q", "-"}, args...)...)
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
