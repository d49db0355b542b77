package engine

import (
	"context"
	"slices"

	"maia-dr/engine/onedrive"
	"maia-dr/engine/repository"
	"maia-dr/engine/state"
)

// CheckState is what a check of Doctor found.
type CheckState string

// The states of a check. CheckUnknown is what cannot be found out here, and never counts as fine; CheckFailed is what
// keeps the next backup, or a restore, from working.
const (
	CheckOK        CheckState = "ok"
	CheckUnknown   CheckState = "unknown"
	CheckAttention CheckState = "attention"
	CheckFailed    CheckState = "failed"
)

// Check is a precondition of a backup or its restore, and how it stands. A precondition with several findings has a
// Check for each, of the same name.
type Check struct {
	Name  string     `json:"name"`
	State CheckState `json:"state"`
	Text  string     `json:"text"`
	// Remedy says what to do; empty where nothing is to be done.
	Remedy string `json:"remedy,omitempty"`
	// Fixed says that Doctor itself has just mended it.
	Fixed bool `json:"fixed,omitempty"`

	// repair mends it without touching anything of the user's; nil: only a person can.
	repair func() error
}

// Names of checks, in the order in which to mend what they find: each may need those before it.
const (
	CheckConfiguration = "configuration"
	CheckStateDir      = "state"
	CheckRoot          = "maia_root"
	CheckOneDrive      = "onedrive_folder"
	CheckAccess        = "access"
	CheckSpace         = "space"
	CheckRepository    = "repository"
	CheckPassword      = "password"
	CheckProgram       = "program"
	CheckSchedule      = "schedule"
	CheckTools         = "tools"
	CheckNotifications = "notifications"
	CheckLastBackup    = "last_backup"
	CheckUpload        = "upload"
	CheckDrill         = "drill"
	CheckSheet         = "recovery_sheet"
	CheckIndex         = "block_index"
	CheckFootprint     = "footprint"
	CheckClock         = "clock"
	CheckVersion       = "version"
)

// CheckNames returns the names of all checks in their order.
func CheckNames() []string {
	return []string{
		CheckConfiguration, CheckStateDir, CheckRoot, CheckOneDrive, CheckAccess, CheckSpace, CheckRepository, CheckPassword, CheckProgram,
		CheckSchedule, CheckTools, CheckNotifications, CheckLastBackup, CheckUpload, CheckDrill, CheckSheet, CheckIndex, CheckFootprint,
		CheckClock, CheckVersion,
	}
}

// Diagnosis is what Doctor found, in the order in which to mend it.
type Diagnosis struct {
	Version int `json:"version"`
	// Overall is the worst state of a check that is known.
	Overall CheckState `json:"overall"`
	Checks  []Check    `json:"checks"`
}

// Add puts further checks into their places.
func (d *Diagnosis) Add(checks ...Check) {
	d.Checks = append(d.Checks, checks...)
	names := CheckNames()
	slices.SortStableFunc(d.Checks, func(a, b Check) int { return slices.Index(names, a.Name) - slices.Index(names, b.Name) })
	d.Overall = CheckOK
	for _, c := range d.Checks {
		if c.State == CheckFailed || c.State == CheckAttention && d.Overall != CheckFailed {
			d.Overall = c.State
		}
	}
}

// Doctor looks at every precondition of a backup and a restore that the engine can see. With fix it mends what it can
// without touching anything of the user's, and says so. It needs no lock and reads nothing that would have to be
// downloaded.
func (e *Engine) Doctor(ctx context.Context, fix bool) *Diagnosis {
	x := &examination{e: e, ctx: ctx}
	x.maia, x.rootErr = e.findRoot()
	x.folder, x.folderErr = e.findOneDrive()
	x.status, x.statusErr = e.Status()
	if x.status != nil {
		x.newest = e.newestManifest(x.status)
	}
	d := &Diagnosis{Version: 1}
	for _, examine := range []func() []Check{
		x.state, x.root, x.oneDrive, x.access, x.space, x.repository, x.tools, x.lastBackup, x.upload, x.drill, x.sheet,
		x.index, x.footprint, x.clock, x.version, x.problems,
	} {
		checks := examine()
		for i := range checks {
			if c := &checks[i]; fix && c.repair != nil && c.State != CheckOK {
				c.mend()
			}
		}
		d.Add(checks...)
	}
	return d
}

// mend runs the repair and says how it went.
func (c *Check) mend() {
	if err := c.repair(); err != nil {
		c.Text += "; mending it failed: " + err.Error()
		return
	}
	c.State, c.Fixed, c.Remedy = CheckOK, true, ""
}

// examination is one run of Doctor.
type examination struct {
	e   *Engine
	ctx context.Context
	// status is nil where the state cannot be read, which statusErr says. newest is the newest complete backup; nil: none.
	status    *Status
	statusErr error
	newest    *repository.Manifest
	// maia and folder are the Maia root and the OneDrive folder, or why there is none.
	maia      string
	rootErr   error
	folder    onedrive.Folder
	folderErr error
}

func ok(name, text string) Check { return Check{Name: name, State: CheckOK, Text: text} }

// unknown says what keeps a check from being made.
func unknown(name, text string) []Check {
	return []Check{{Name: name, State: CheckUnknown, Text: text}}
}

// finding is a check that found an error.
func finding(name string, s CheckState, err error) Check {
	var p Status
	p.problem(err)
	return Check{Name: name, State: s, Text: p.Problems[0].Text, Remedy: p.Problems[0].Hint}
}

// problemChecks says which check a problem of the status belongs to; any other belongs to CheckLastBackup.
var problemChecks = map[string]string{
	string(CodeNoRoot):          CheckRoot,
	string(CodeNoOneDrive):      CheckOneDrive,
	string(CodeReadOnly):        CheckAccess,
	string(CodeDiskFull):        CheckSpace,
	string(CodeNoRepository):    CheckRepository,
	string(CodeRepositoryGone):  CheckRepository,
	string(CodeForeignWriter):   CheckRepository,
	string(CodeNewerFormat):     CheckRepository,
	string(CodeIncomplete):      CheckRepository,
	string(CodeDamaged):         CheckRepository,
	"foreign_file":              CheckRepository,
	"not_published":             CheckRepository,
	"drill_failed":              CheckDrill,
	"drill_slow":                CheckDrill,
	"drill_not_done":            CheckDrill,
	"password_untyped":          CheckPassword,
	string(CodePasswordMissing): CheckPassword,
	"sync_blocked":              CheckUpload,
	"sync_stuck":                CheckUpload,
	"sync_slow":                 CheckUpload,
	"sync_unknown":              CheckUpload,
	"sheet_outdated":            CheckSheet,
}

// preventing are the problems with which no backup can be made, or none restored.
var preventing = []string{
	string(CodeNoRoot), string(CodeNoOneDrive), string(CodeReadOnly), string(CodeDiskFull), string(CodeNoRepository),
	string(CodeRepositoryGone), string(CodeForeignWriter), string(CodeNewerFormat), string(CodeFailed), string(CodeState),
	string(CodeSecretLeak),
}

// problems gives each problem of the status a place: what status shows, doctor shows too.
func (x *examination) problems() []Check {
	if x.status == nil {
		return nil
	}
	var out []Check
	for _, p := range x.status.Problems {
		name, known := problemChecks[p.Code]
		if !known {
			name = CheckLastBackup
		}
		c := Check{Name: name, State: CheckAttention, Text: p.Text, Remedy: p.Hint}
		if slices.Contains(preventing, p.Code) {
			c.State = CheckFailed
		}
		if p.Code == "sheet_outdated" {
			c.repair = func() error { _, err := x.e.RecoverySheet(); return err }
		}
		out = append(out, c)
	}
	return out
}

// has reports whether the status has a problem that belongs to a check.
func (x *examination) has(name string) bool {
	return slices.ContainsFunc(x.status.Problems, func(p state.Problem) bool {
		at, known := problemChecks[p.Code]
		return at == name || !known && name == CheckLastBackup
	})
}
