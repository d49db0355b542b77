package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"slices"
	"time"

	"maia-dr/engine/component"
	"maia-dr/engine/repository"
)

// systemMetadata is system_metadata.json: the machine, and where the root's git repository stands.
type systemMetadata struct {
	component.SystemInfo
	Git component.GitState `json:"git"`
}

// systemOf returns what a manifest says about the machine; empty where it says nothing that can be read.
func systemOf(m *repository.Manifest) systemMetadata {
	var s systemMetadata
	_ = json.Unmarshal(m.SystemMetadata, &s)
	return s
}

// details is what tools are asked for. They are asked while the files are captured: a list of packages takes longer
// than a day's backup.
type details struct {
	done     chan struct{}
	system   systemMetadata
	deps     component.DependencyInfo
	files    map[string][]byte
	warnings []string
	lists    *component.PackageLists
	// sealing: there will be a vault.
	sealing bool
	// bundle is what no remote is sure to have of the history, with so many stashes; nil: nothing, or bundleProblem says why.
	bundle        []byte
	stashes       int
	bundleProblem string
}

// gitAnswer is what git says, once done is closed.
type gitAnswer struct {
	done  chan struct{}
	state component.GitState
}

// askGit begins to ask git, which needs to know nothing but the root. Cancelling ctx ends it soon.
func (b *backup) askGit(ctx context.Context) *gitAnswer {
	g := &gitAnswer{done: make(chan struct{})}
	run := b.runner()
	go func() {
		defer close(g.done)
		g.state = component.CaptureGit(ctx, b.root, run, "")
	}()
	return g
}

func (b *backup) runner() component.Runner {
	if run := b.e.opt.Run; run != nil {
		return run
	}
	return component.NewRunner(b.e.env.Home, b.e.env.Getenv)
}

// gatherDetails begins to ask. addDetails awaits it; cancelling ctx ends it soon.
func (b *backup) gatherDetails(ctx context.Context) *details {
	d := &details{done: make(chan struct{}), lists: b.loadPackageLists(), sealing: b.seal.derived != nil}
	run := b.runner()
	git := b.git
	go func() {
		defer close(d.done)
		d.files, d.deps, d.warnings = component.CaptureDependencies(ctx, component.Deps{
			Inventory: b.inventory, Run: run, Lists: d.lists, Search: b.e.env.Getenv("PATH"),
		})
		d.system.SystemInfo = component.CaptureSystem(ctx, component.SystemOptions{
			Inventory: b.inventory, Dependencies: d.deps, Run: run, Getenv: b.e.env.Getenv, Now: b.started,
			Zone: b.e.env.Zone, Hostname: b.e.env.Hostname,
		})
		<-git.done
		d.system.Git = git.state
		if g := d.system.Git; d.sealing && g.Present && g.Problem == "" && !g.NoRemote {
			var err error
			if d.bundle, d.stashes, err = component.BundleGit(ctx, b.root, g, run, ""); err != nil {
				d.bundleProblem = err.Error()
			}
		}
	}()
	return d
}

// loadPackageLists reads what is known of packages from the last backup; nothing, where it cannot be read.
func (b *backup) loadPackageLists() *component.PackageLists {
	lists := &component.PackageLists{Since: b.started}
	if body, err := os.ReadFile(b.e.state.PackageLists()); err == nil {
		if err := json.Unmarshal(body, &lists.Known); err != nil {
			lists.Known = component.KnownPackages{}
		}
	}
	return lists
}

// savePackageLists keeps what is known for the next backup, as clean of captured values as it is in this one.
func (b *backup) savePackageLists() {
	used := b.details.lists.Used()
	for key, l := range used.Lists {
		l.List, l.Freeze = b.seal.scrub(l.List), b.seal.scrub(l.Freeze)
		used.Lists[key] = l
	}
	body := mustJSON(used)
	path := b.e.state.PackageLists()
	if old, err := os.ReadFile(path); err == nil && bytes.Equal(old, body) {
		return
	}
	if err := b.e.fs.WriteAtomic(path, 0o600, body); err != nil {
		// All is asked for once more.
		b.e.log.Warn().Err(err).Msg("save package lists")
	}
}

// addDetails adds the package lists and the system metadata.
func (b *backup) addDetails() error {
	d := b.details
	<-d.done
	if err := b.ctx.Err(); err != nil {
		return err
	}
	m := b.manifest
	for _, w := range d.warnings {
		b.cap.warn("package_list_incomplete", "", w, "mend it, or ignore it if the packages do not matter; the last backup's lists are in `maia-dr show`")
	}
	for _, a := range d.deps.Absent {
		b.e.note("There is no Python at " + a + "; its packages are not listed.")
	}
	m.Stats.PipPackages, m.Stats.BrewPackages = d.deps.PipPackages, d.deps.BrewPackages
	deps := &repository.Component{Details: mustJSON(d.deps), PythonVersion: d.system.PythonVersion}
	for _, name := range slices.Sorted(maps.Keys(d.files)) {
		d.files[name] = b.seal.scrub(d.files[name])
		b.addSmall(component.Dependencies, name, d.files[name])
		deps.Files = append(deps.Files, repository.Name(name))
		deps.Count++
		deps.SourceBytes += int64(len(d.files[name]))
	}
	deps.SizeBytes = deps.SourceBytes
	if d.files[component.FreezeFile] != nil {
		deps.RequirementsTxt = component.FreezeFile
	}
	if d.files[component.BrewListFile] != nil {
		deps.BrewList = component.BrewListFile
	}
	m.Components[component.Dependencies] = deps

	body, err := json.MarshalIndent(d.system, "", " ")
	if err != nil {
		return fmt.Errorf("encode system metadata: %w", err)
	}
	m.SystemMetadata = body
	body = append(body, '\n')
	sum := b.addSmall(component.SystemMetadata, repository.SystemMetadataName, body)
	m.Components[component.SystemMetadata] = &repository.Component{
		Path: repository.SystemMetadataName, SizeBytes: int64(len(body)), SHA256: &sum, Count: 1, SourceBytes: int64(len(body)),
	}
	b.warnGit(d.system.Git)
	return nil
}

// addSmall adds a file of the backup's folder that is also a file to be restored.
func (b *backup) addSmall(name, file string, body []byte) repository.Hash {
	sum := repository.SumHash(body)
	b.small[file] = body
	b.files = append(b.files, repository.File{
		Component: name, Path: repository.Name(file), Type: repository.TypeFile, SizeBytes: int64(len(body)), Mode: 0o600,
		ModTimeNS: b.started.Truncate(time.Second).UnixNano(), SHA256: &sum,
	})
	return sum
}

// warnGit says what of the history is in no backup: .git is excluded, and commits that no remote has go into the vault.
func (b *backup) warnGit(g component.GitState) {
	const hint = "push them, or set git.keep_history = true in the configuration"
	switch {
	case b.opt.NoVault || b.e.opt.Config.Git.KeepHistory || !g.Present:
	case g.Problem != "":
		b.cap.warn("git_state_unknown", ".git", "the state of the git repository is not known: "+g.Problem, "run `git status` there; whether commits are pushed could not be checked")
	case g.NoRemote && g.Head != "":
		b.cap.warn("git_history_not_captured", ".git", "the history has no remote and is not in the backup", "push it somewhere, or set git.keep_history = true in the configuration")
	case g.Stashes > b.details.stashes:
		b.cap.warn("git_stash_not_captured", ".git", counted(g.Stashes-b.details.stashes, "stash is", "stashes are")+" not in the backup", "make branches of them with `git stash branch`, or set git.keep_history = true in the configuration")
	}
	switch {
	case b.opt.NoVault || b.e.opt.Config.Git.KeepHistory || !g.Present || g.Problem != "" || g.NoRemote:
	case g.Unpushed > 0 && b.details.bundleProblem != "":
		b.cap.warn("git_history_not_captured", ".git", unpushedText(g.Unpushed)+": "+b.details.bundleProblem, hint)
	case g.Unpushed > 0 && !b.details.sealing:
		b.cap.warn("git_history_not_captured", ".git", unpushedText(g.Unpushed)+": there is no vault to keep them in", hint)
	}
}
