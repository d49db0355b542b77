package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"maia-dr/engine/event"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
	"maia-dr/engine/vault"
)

// DrillOptions say what to rehearse.
type DrillOptions struct {
	// Backup is a name as for Show; "" and "latest" mean the newest there is, complete or not.
	Backup string
	// Light restores today's files, the personal ones, the small databases and a few more, in place of everything.
	Light bool
	// Script has the backup's own restore_maia.sh restore it.
	Script bool
	// Download allows to read what OneDrive has evicted. Without it, that comes from the mirror.
	Download bool
	// Password is as for RestoreOptions. Without it the vault stays closed, and nothing is proven by the drill.
	Password func(ctx context.Context, number, wrong int) (vault.Password, error)
}

// DrillResult is what a drill came to.
type DrillResult struct {
	state.Drill
	// Problems are all that was found. None: the drill passed.
	Problems []string             `json:"problems"`
	Warnings []repository.Warning `json:"-"`
	// ReadFromOneDrive is the part of the stored bytes that came from there, in percent, rounded down.
	ReadFromOneDrive int      `json:"read_from_onedrive_percent"`
	Estimate         Estimate `json:"estimate"`
}

// Drill rehearses a restore: it restores a backup from the OneDrive folder into scratch, as Restore does, compares
// everything there with what the backup says, checks every database and property list, and measures the time. What it
// finds wrong with the backup is in the result; an error says that nothing could be found out. It leaves nothing
// behind and changes nothing in the repository and the mirror.
func (e *Engine) Drill(ctx context.Context, o DrillOptions) (res *DrillResult, err error) {
	if o.Light && o.Script {
		return nil, &Error{Op: "drill", Code: CodeUsage, Err: errors.New("the script restores everything: no drill is both light and by the script")}
	}
	if _, err := e.findOneDrive(); err != nil {
		return nil, err
	}
	end, err := e.begin("drill")
	if err != nil {
		return nil, err
	}
	history := new(state.HistoryEntry)
	defer func() { end(history, err) }()
	res, err = e.drill(ctx, o)
	if err != nil {
		return nil, err
	}
	*history = drillHistory(res)
	return res, nil
}

// drillHistory is the history's line of a drill, but for its time.
func drillHistory(res *DrillResult) state.HistoryEntry {
	d := res.Drill
	h := state.HistoryEntry{Kind: "drill", Result: repository.StatusCompleted, BackupID: d.BackupID, SourceBytes: d.Bytes,
		Files: d.Files, Warnings: len(res.Warnings), Drill: &d}
	switch {
	case !d.Passed:
		h.Result, h.Error = "failed", res.Problems[0]
	case len(res.Warnings) > 0:
		h.Result = repository.StatusCompletedWithWarnings
	}
	return h
}

// drill is Drill with the lock held. It enters the result into the status.
func (e *Engine) drill(ctx context.Context, o DrillOptions) (res *DrillResult, err error) {
	d := &rehearsal{e: e, ctx: ctx, opt: o, res: &DrillResult{Problems: []string{}}}
	began := e.now()
	e.laps = &laps{seconds: map[event.Phase]float64{}}
	defer func() { e.laps = nil }()
	d.dir = filepath.Join(e.state.Scratch(), "drill")
	defer func() { err = errors.Join(err, explain("remove what a drill restored", d.dir, e.removeTree(d.dir))) }()
	if err := d.run(); err != nil {
		return nil, d.explain(err)
	}
	e.laps.begin("", e.now())
	d.finish(began)
	e.statusMu.Lock()
	defer e.statusMu.Unlock()
	drill := d.res.Drill
	e.status.Drills.Add(&drill)
	d.res.Estimate = e.estimate(&e.status.Drills, d.m)
	return d.res, nil
}

// laps measures how long each phase of a run takes.
type laps struct {
	phase   event.Phase
	since   time.Time
	seconds map[event.Phase]float64
}

func (l *laps) begin(p event.Phase, now time.Time) {
	if l.phase != "" {
		l.seconds[l.phase] += now.Sub(l.since).Seconds()
	}
	l.phase, l.since = p, now
}

// rehearsal is one drill.
type rehearsal struct {
	e   *Engine
	ctx context.Context
	opt DrillOptions
	res *DrillResult
	dir string // in the scratch
	// all are the copies there are; folder is the one that the backup's own folder is read in.
	all    *view
	folder int
	m      *repository.Manifest
	raw    []byte
	files  []repository.File // as the file list has them
	chosen map[string]bool   // the places of a light drill
	r      *restore
	// read says where each chunk was read from: a folder.
	read     copies
	password *vault.Password
	waited   time.Duration // for the password
}

func (d *rehearsal) light() bool { return d.opt.Light }

func (d *rehearsal) problem(format string, args ...any) {
	if text := fmt.Sprintf(format, args...); !slices.Contains(d.res.Problems, text) {
		d.res.Problems = append(d.res.Problems, text)
	}
}

func (d *rehearsal) warn(code, path, text, hint string) {
	w := repository.Warning{Code: code, Path: repository.Name(path), Text: text, Hint: hint}
	d.res.Warnings = append(d.res.Warnings, w)
	d.e.warn(w)
}

// explain tells an error of the restore as one of the drill.
func (d *rehearsal) explain(err error) error {
	err = explain("drill", "", err)
	var known *Error
	if errors.As(err, &known) && known.Op == "restore" {
		known.Op = "drill"
		if known.Code == CodeDiskFull {
			known.Hint = "free some space: a drill restores everything beside what there is; --light needs little"
		}
	}
	return err
}

// spoilt notes an error that tells of the backup and not of this machine.
func (d *rehearsal) spoilt(err error) bool {
	if d.ctx.Err() != nil {
		return false
	}
	switch CodeOf(explain("drill", "", err)) {
	case CodeDamaged, CodeIncomplete, CodeNewerFormat:
		d.problem("%v", err)
		return true
	}
	return false
}

func (d *rehearsal) run() error {
	d.e.phase(event.Verify, 0)
	if err := d.open(); err != nil {
		if d.res.BackupID != "" && d.spoilt(err) {
			return nil
		}
		return err
	}
	if err := d.checkFolder(); err != nil || d.files == nil {
		return err
	}
	if err := d.choose(); err != nil {
		return err
	}
	if err := d.e.fs.Mkdir(d.dir, 0o700); err != nil {
		return err
	}
	d.r = &restore{view: d.view(), ctx: d.ctx, rehearsal: d, res: &RestoreResult{},
		opt: RestoreOptions{Backup: d.m.BackupID, To: filepath.Join(d.dir, "maia"), Password: d.ask}}
	if d.opt.Script {
		// The script restores personal files into a home, relocated: what they become there is planned here.
		d.r.opt.TargetHome = filepath.Join(d.dir, "home")
		if err := d.e.fs.Mkdir(d.r.opt.TargetHome, 0o700); err != nil {
			return err
		}
	}
	if err := d.r.prepare(); err != nil {
		if d.spoilt(err) {
			return nil
		}
		return err
	}
	d.checkVault()
	restore := d.r.run
	if d.opt.Script {
		restore = d.runScript
	}
	if err := restore(); err != nil {
		if d.spoilt(err) {
			return nil
		}
		return err
	}
	for _, f := range d.r.res.Failed {
		d.problem("%s", f)
	}
	return d.checkRestored()
}

// ask asks for the password, and keeps it for the script.
func (d *rehearsal) ask(ctx context.Context, number, wrong int) (vault.Password, error) {
	if d.opt.Password == nil {
		return vault.Password{}, ErrNoPassword
	}
	// How long somebody thinks of a password is no part of what a restore takes.
	asked := d.e.now()
	d.e.laps.begin("", asked)
	p, err := d.opt.Password(ctx, number, wrong)
	now := d.e.now()
	d.waited += now.Sub(asked)
	d.e.laps.begin(event.Plan, now)
	if err == nil {
		d.password = &p
	}
	return p, err
}

// spoiled notes that a vault does not open for a reason that is not the password's. A MAC that is wrong could be
// either; but a password that opens the vault itself is right.
func (d *rehearsal) spoiled(p vault.Password, err error) bool {
	if d.ctx.Err() != nil {
		return false
	}
	if !errors.Is(err, vault.ErrPassword) {
		d.problem("the vault cannot be opened: %v", err)
		return true
	}
	sealed, err := d.r.readFile(d.m, repository.VaultName)
	if err != nil {
		return false
	}
	plain, err := vault.Open(p, vault.Iterations, sealed)
	if err != nil {
		return false
	}
	if _, err := vault.Decode(plain, d.m.BackupID); err != nil {
		return false
	}
	d.problem("%s: it is not that of the restore index, though the password opens the vault: one of the two was changed", repository.MACName)
	return true
}

// finish makes the result of what was found.
func (d *rehearsal) finish(began time.Time) {
	res := d.res
	now := d.e.now()
	res.At, res.Light, res.Script = now.UTC(), d.opt.Light, d.opt.Script
	res.Seconds, res.Phases = (now.Sub(began) - d.waited).Seconds(), d.e.laps.seconds
	for _, p := range []event.Phase{event.Plan, event.Read, event.Place, event.Check} {
		res.RestoreSeconds += res.Phases[p]
	}
	res.Vault = state.VaultNone
	if d.m != nil && d.m.PasswordNumber > 0 {
		res.Vault = state.VaultClosed
		if d.r != nil && d.r.vault != nil {
			res.Vault = state.VaultOpened
		} else if len(res.Problems) == 0 {
			d.warn("vault_not_opened", "", fmt.Sprintf("the vault was not opened: vault password %d was not to be had, so the drill proves nothing of the secrets", d.m.PasswordNumber),
				"set the password with `maia-dr password set`, or give it with --vault-password-file")
		}
	}
	if sum := res.OneDriveBytes + res.MirrorBytes; sum > 0 {
		res.ReadFromOneDrive = int(res.OneDriveBytes * 100 / sum)
	}
	res.Passed = len(res.Problems) == 0
	res.ProblemCount = len(res.Problems)
	res.Drill.Problems = res.Problems[:min(len(res.Problems), state.MaxDrillProblems)]
	if res.Passed && !res.Light {
		if history, err := d.e.state.History(); err == nil {
			res.Slow = slow(&res.Drill, history)
		}
	}
	if res.Slow != "" {
		d.warn("drill_slow", "", res.Slow, slowHint)
	}
}

// exists reports whether something is there, a link itself too.
func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
