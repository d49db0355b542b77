package engine

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/bmatcuk/doublestar/v4"

	"maia-dr/engine/component"
	"maia-dr/engine/event"
	"maia-dr/engine/fsx"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// BesideDir is the folder below the target in which personal files are laid when nothing may be activated.
const BesideDir = "maia-recovered"

// maxInMemory is more than the files outside of streams ever take up together: they are restored from memory.
const maxInMemory = 512 << 20

// placement is one file on its way to its place.
type placement struct {
	file *repository.File
	// dest is the absolute destination: rel below its area.
	area      *area
	dest, rel string
	equal     bool
	inWay     bool
	// staged is where the verified content waits; empty: not restorable.
	staged string
	check  *databaseCheck // nil: it is checked in its place
	body   []byte         // content of a file of an archive or of the backup's folder
	reason string
	// doubted: its bytes are not what they should be, though every chunk it lies in could be read.
	doubted bool
	// asItWas: the paths in it could not be changed.
	asItWas bool
	// rewritten: a binary property list that is XML now, because a path in it changed.
	rewritten bool
}

type restore struct {
	*view
	ctx    context.Context
	opt    RestoreOptions
	m      *repository.Manifest
	raw    []byte
	files  []repository.File
	plan   *RestorePlan
	places []*placement
	// beside is BesideDir, or another name where the backup has something of that name.
	beside string
	target *area
	home   *area // nil: personal files are laid beside
	// vault is nil until it is opened; sealed are the bytes of its files, by place.
	vault  *vault.Contents
	sealed map[string][]byte
	// password is the one that proved the backup: the script proves it once more.
	password *vault.Password
	res      *RestoreResult
	// stagedFiles counts the files of tars that were staged: it names the next.
	stagedFiles atomic.Int64
	// rehearsal is set in a drill: the target is scratch.
	rehearsal *rehearsal
}

// Restore brings files of a backup back. It makes a plan, has it confirmed, writes every file under a temporary name,
// hashes it, and only then moves it into place. It works from any copy of the repository and needs no local state.
func (e *Engine) Restore(ctx context.Context, o RestoreOptions) (res *RestoreResult, err error) {
	started := e.now()
	v, err := e.view()
	if err != nil {
		return nil, err
	}
	phases, _ := phasesOf(o.Only)
	if o.TargetHome == "" && slices.Contains(phases, PhasePackages) {
		// They go to no other.
		o.TargetHome = e.env.Home
	}
	r := &restore{view: v, ctx: ctx, opt: o, res: &RestoreResult{}}
	if err := r.prepare(); err != nil {
		return nil, explain("restore", o.To, err)
	}
	r.res.Plan = r.plan
	if o.DryRun && len(phases) > 0 {
		return r.res, r.runPhases()
	}
	if o.DryRun {
		return r.res, nil
	}
	// Of phases alone the script shows the plan, and asks.
	if o.Confirm != nil && len(phases) == 0 {
		if yes, err := o.Confirm(r.plan); err != nil || !yes {
			return r.res, err
		}
	}
	end, err := e.begin("restore")
	if err != nil {
		return nil, err
	}
	history := &state.HistoryEntry{BackupID: r.m.BackupID}
	defer func() { end(history, err) }()
	if err := r.stillThere(); err != nil {
		return nil, explain("restore", o.To, err)
	}
	if len(phases) == 0 {
		if err := r.run(); err != nil {
			return nil, explain("restore", o.To, err)
		}
	}
	if err := r.runPhases(); err != nil {
		return nil, explain("restore", o.To, err)
	}
	r.compareVersions()
	r.res.Done = true
	r.res.Duration = e.now().Sub(started)
	history.Result, history.Files, history.SourceBytes = repository.StatusCompleted, r.res.Restored, r.res.Bytes
	if len(r.res.Failed)+len(r.res.Doubtful) > 0 {
		history.Result, history.Warnings = repository.StatusCompletedWithWarnings, len(r.res.Failed)+len(r.res.Doubtful)
	}
	return r.res, nil
}

// stillThere looks once more, under the lock: while somebody read the plan, a prune may have taken the backup away.
func (r *restore) stillThere() error {
	now, err := r.e.view()
	if err != nil {
		return err
	}
	if lacks := now.lacks(r.m); len(lacks) > len(r.plan.Lacks) {
		return &Error{Op: "restore", Code: CodeIncomplete,
			Err:  fmt.Errorf("since the plan was made, %s has lost %d of its files, %s among them; nothing was restored", r.m.BackupID, len(lacks)-len(r.plan.Lacks), lacks[0]),
			Hint: "choose a backup from `maia-dr list`"}
	}
	return nil
}

// prepare reads what the backup holds and makes the plan. It writes nothing.
func (r *restore) prepare() error {
	r.e.phase(event.Plan, 0)
	to, err := filepath.Abs(r.opt.To)
	if err != nil {
		return err
	}
	// A link may stand in the target's own path, but not below it.
	to = realPath(to)
	r.opt.To = to
	for _, own := range append([]string{r.e.state.Path}, r.source().Dirs...) {
		if r.rehearsal != nil {
			break
		}
		if real, err := filepath.EvalSymlinks(own); err == nil {
			own = real
		}
		if within(to, own) || within(own, to) {
			return &Error{Op: "restore", Path: to, Code: CodeUsage, Err: fmt.Errorf("it holds, or lies in, %s, which the backups are made with", own),
				Hint: "choose another place with --to"}
		}
	}
	var newer []string
	if r.m, r.raw, newer, err = r.resolveFor(r.opt.Backup, r.unprovable); err != nil {
		return err
	}
	if r.files, err = r.view.files(r.m); err != nil {
		return err
	}
	stamp := r.e.now().UTC().Format("20060102_150405")
	r.plan = &RestorePlan{
		BackupID: r.m.BackupID, CreatedAt: r.m.CreatedAt, Newer: newer, From: r.repos[0].Dir, To: to,
		Aside: to + ".before-restore-" + stamp, Lacks: r.lacks(r.m), PasswordNumber: r.m.PasswordNumber, Stripped: r.stripped(),
	}
	if err := r.authenticate(); err != nil {
		return err
	}
	if err := r.needsVault(); err != nil {
		return err
	}
	r.unseal()
	if err := r.findAreas(); err != nil {
		return err
	}
	if err := r.checkTree(); err != nil {
		return err
	}
	if phases, components := phasesOf(r.opt.Only); len(phases) > 0 {
		if len(components)+len(r.opt.Paths) > 0 {
			return &Error{Op: "restore", Code: CodeUsage, Err: errors.New("--only takes either components or phases, and phases take no --path")}
		}
		return r.onlyPhases(phases)
	}
	there := placesOf(r.files)
	for i := range r.m.Coverage.Secrets {
		s := &r.m.Coverage.Secrets[i]
		if !r.asked(s.Component) || !matchesAny(r.opt.Paths, string(s.Path)) {
			continue
		}
		switch kept := keptOf(s, there); {
		case kept == KeptRedacted:
			r.plan.Redacted = append(r.plan.Redacted, string(s.Path))
		case kept == KeptNot:
			r.plan.NotInBackup = append(r.plan.NotInBackup, string(s.Path))
		case r.vault == nil:
			r.plan.Sealed = append(r.plan.Sealed, string(s.Path))
		}
	}
	if err := r.choose(); err != nil {
		return err
	}
	if err := r.relocate(); err != nil {
		return err
	}
	r.planPhases()
	return r.compare()
}

// checkTree refuses a file list that could lead outside the target and the home: a path below a link or below a file, or one path
// twice.
func (r *restore) checkTree() error {
	kinds := map[string]string{}
	var small int64
	for i := range r.files {
		a, rel := r.below(&r.files[i])
		key := a.path(rel)
		if kinds[key] != "" {
			return fmt.Errorf("%.80q stands twice in the backup: %w", r.files[i].Path, repository.ErrDamaged)
		}
		kinds[key] = r.files[i].Type
		if f := &r.files[i]; !inStream(f.Component) {
			small += min(f.SizeBytes, maxInMemory+1)
		}
	}
	if small > maxInMemory {
		return fmt.Errorf("%d MB of agents, shell files and lists: %w", small>>20, repository.ErrDamaged)
	}
	for _, a := range r.areas() {
		if kinds[a.root] == "" {
			kinds[a.root] = repository.TypeDir
		}
	}
	for key := range kinds {
		for i := strings.LastIndexByte(key, '/'); i > 0; i = strings.LastIndexByte(key[:i], '/') {
			if t := kinds[key[:i]]; t != "" && t != repository.TypeDir {
				return fmt.Errorf("%.80q lies below something that is no folder: %w", key, repository.ErrDamaged)
			}
		}
	}
	return nil
}

// within reports whether path is dir or lies below it.
func within(path, dir string) bool {
	rel, err := filepath.Rel(dir, path)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, "../")
}

// choose picks the files and their destinations.
func (r *restore) choose() error {
	for _, g := range r.opt.Paths {
		if !doublestar.ValidatePattern(g) {
			return &Error{Op: "restore", Code: CodeUsage, Err: fmt.Errorf("%q is not a valid pattern", g)}
		}
	}
	for _, name := range r.opt.Only {
		if !slices.Contains(component.Names(), name) {
			return &Error{Op: "restore", Code: CodeUsage, Err: fmt.Errorf("there is no component %q", name),
				Hint: "the components are " + strings.Join(component.Names(), ", ") + "; or, alone, packages and git"}
		}
	}
	rows := map[string]*PlannedComponent{}
	for i := range r.files {
		f := &r.files[i]
		if !r.wanted(f) || !matchesAny(r.opt.Paths, string(f.Path)) {
			continue
		}
		if r.rehearsal != nil && !r.rehearsal.wants(f) {
			continue
		}
		if r.opt.BesideOriginal && !f.HasContent() {
			continue
		}
		// The lock of a restore that was killed is nothing to bring back.
		if first, _, _ := strings.Cut(string(f.Path), "/"); first == lockName && inStream(f.Component) {
			continue
		}
		p := &placement{file: f, body: r.sealed[place(f.Component, string(f.Path))]}
		p.area, p.rel = r.place(f)
		p.dest = p.area.path(p.rel)
		r.places = append(r.places, p)
		row := rows[f.Component]
		if row == nil {
			row = &PlannedComponent{Name: f.Component, To: p.area.root}
			switch {
			case p.area == r.home && f.Component == component.LaunchAgents:
				row.To = r.home.path(agentsDir)
			case p.area == r.target && !inStream(f.Component):
				row.To = r.target.path(r.beside)
				r.plan.Beside = row.To
			}
			rows[f.Component] = row
		}
		if f.HasContent() {
			row.Files++
			row.Bytes += f.SizeBytes
			r.plan.Files++
			r.plan.Bytes += f.SizeBytes
		}
	}
	if len(r.places) == 0 {
		return &Error{Op: "restore", Code: CodeUsage, Err: errors.New("nothing in the backup matches"),
			Hint: "see what it holds with `maia-dr show " + r.m.BackupID + " --files`"}
	}
	for _, name := range component.Names() {
		if rows[name] != nil {
			r.plan.Components = append(r.plan.Components, *rows[name])
		}
	}
	return nil
}

// matchesAny reports whether a path, or a folder above it, matches one of the globs.
func matchesAny(globs []string, path string) bool {
	if len(globs) == 0 {
		return true
	}
	for _, g := range globs {
		g = strings.TrimSuffix(g, "/")
		for p := path; p != "."; p = slashDir(p) {
			if doublestar.MatchUnvalidated(g, p) {
				return true
			}
		}
	}
	return false
}

func slashDir(p string) string {
	if i := strings.LastIndexByte(p, '/'); i > 0 {
		return p[:i]
	}
	return "."
}

// compare looks at what is in the target already, and at the space.
func (r *restore) compare() error {
	var need int64
	for _, p := range r.places {
		if err := r.ctx.Err(); err != nil {
			return err
		}
		var err error
		if p.equal, p.inWay, err = r.compareOne(p); err != nil {
			return err
		}
		if p.equal {
			if p.file.HasContent() {
				r.plan.Equal++
			}
			continue
		}
		if p.inWay {
			r.plan.InTheWay = append(r.plan.InTheWay, p.shown())
		}
		need += p.file.SizeBytes + 4096
		if p.file.Type != repository.TypeLarge && inStream(p.file.Component) {
			// Files of a tar pass through scratch.
			need += p.file.SizeBytes
		}
	}
	r.plan.NeedBytes = need
	free, err := fsx.FreeBytes(existingParent(r.opt.To))
	if err != nil {
		return err
	}
	r.plan.FreeBytes = free
	if need > free {
		return &Error{Op: "restore", Path: r.opt.To, Code: CodeDiskFull,
			Err:  fmt.Errorf("%d MB are needed there and %d MB are free", need>>20, free>>20),
			Hint: "free some space, restore less with --only or --path, or choose another place with --to"}
	}
	return nil
}

// compareOne reports whether a file is in its place already, or something else is. Behind a link nothing is in its
// place: the link is moved aside when the folder is made.
func (r *restore) compareOne(p *placement) (equal, inWay bool, err error) {
	if real, err := p.area.realParents(p.rel); !real {
		return false, false, err
	}
	fi, err := os.Lstat(p.dest)
	if errors.Is(err, fs.ErrNotExist) || isNotDir(err) {
		return false, false, nil
	}
	if err != nil {
		return false, false, err
	}
	f := p.file
	switch {
	case f.Type == repository.TypeDir:
		return fi.IsDir(), !fi.IsDir(), nil
	case f.Type == repository.TypeSymlink:
		if fi.Mode()&fs.ModeSymlink == 0 {
			return false, true, nil
		}
		target, err := os.Readlink(p.dest)
		return target == string(f.Link), target != string(f.Link), err
	case !fi.Mode().IsRegular() || fi.Size() != f.SizeBytes:
		return false, true, nil
	}
	if f.Type != repository.TypeFile {
		for _, suffix := range []string{"-wal", "-journal"} {
			if fi, err := os.Lstat(p.dest + suffix); err == nil && fi.Size() > 0 {
				// It would be played into the database when that is opened: the state is not the backup's.
				return false, true, nil
			}
		}
	}
	sum, _, err := repository.HashFile(p.dest)
	return err == nil && sum == *f.SHA256, err != nil || sum != *f.SHA256, nil //nolint:nilerr // what cannot be read differs
}
