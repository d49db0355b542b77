package engine

import (
	"context"
	"time"

	"maia-dr/engine/vault"
)

// RestoreOptions say what to restore and where.
type RestoreOptions struct {
	// Backup is a name as for Show.
	Backup string
	// To becomes the Maia root. Nothing is written outside it, TargetHome, and the folder for what was in the way.
	To string
	// TargetHome is where agents and shell files of an authenticated backup go, with their paths changed to those of
	// this machine; empty, or without a checked MAC: they are laid beside as they are. Not with BesideOriginal.
	TargetHome string
	// Maps are more old paths and their new ones.
	Maps [][2]string
	// Only are component names; none means all. Paths are globs of paths in the backup; none means all.
	Only, Paths []string
	// BesideOriginal restores each file next to the original under a name of its own; To is then the Maia root.
	BesideOriginal bool
	DryRun         bool
	// Password is asked for the vault's password, which has a number; wrong counts the wrong ones so far. ErrNoPassword
	// goes on without the vault, any other error ends the restore. nil: go on without.
	Password func(ctx context.Context, number, wrong int) (vault.Password, error)
	// OnlyProven refuses a backup that Password does not prove: one without a vault, from which it may have been taken away.
	OnlyProven bool
	// Phases follow when the files are in place. Only may also name phases instead of components: then nothing is
	// restored but them.
	Phases PhaseOptions
	// Confirm is asked once the plan stands; nil means yes.
	Confirm func(*RestorePlan) (bool, error)
}

// RestorePlan is what a restore is going to do.
type RestorePlan struct {
	BackupID  string    `json:"backup_id"`
	CreatedAt time.Time `json:"created_at"`
	// Newer tells of newer backups that are passed over, because they are not complete or cannot be proven.
	Newer []string `json:"newer_incomplete,omitempty"`
	// From is the repository, To the target, Beside the folder for personal files, Aside the one for what is in the way.
	From   string `json:"from"`
	To     string `json:"to"`
	Beside string `json:"beside,omitempty"`
	// besideDir is that folder whether or not anything goes there.
	besideDir string
	Aside     string `json:"aside"`
	// Components are what will be restored of each.
	Components []PlannedComponent `json:"components"`
	Files      int                `json:"files"`
	Bytes      int64              `json:"bytes"`
	// Equal are files that are there already, InTheWay those that differ and will be moved aside.
	Equal     int      `json:"equal"`
	InTheWay  []string `json:"in_the_way,omitempty"`
	NeedBytes int64    `json:"need_bytes"`
	FreeBytes int64    `json:"free_bytes"`
	// Lacks is what no copy of the repository has; files that need it cannot be restored.
	Lacks []string `json:"lacks,omitempty"`
	// Authenticated: the MAC was checked with the vault password.
	Authenticated bool `json:"authenticated"`
	// NotInBackup are secret-bearing files that the backup names but does not hold; Redacted those of which it has a copy without
	// their secrets, and no vault; Sealed those in its vault, if that was not opened.
	NotInBackup []string `json:"not_in_backup,omitempty"`
	Redacted    []string `json:"redacted,omitempty"`
	Sealed      []string `json:"sealed,omitempty"`
	// HistoryLeftOut says what of the git history this restore cannot bring back; empty: nothing that is known.
	HistoryLeftOut string `json:"git_history_left_out,omitempty"`
	// PasswordNumber is the number of the vault's password; 0: there is no vault.
	PasswordNumber int `json:"password_number,omitempty"`
	// Stripped: this backup has no vault and others have one, so anybody who can write to the OneDrive folder may have made it.
	Stripped bool `json:"stripped,omitempty"`
	// TargetHome is where agents and shell files go; empty: they are laid beside.
	TargetHome string `json:"target_home,omitempty"`
	// TargetHomeUnused says why a target home that was asked for is not used.
	TargetHomeUnused string `json:"target_home_unused,omitempty"`
	// Relocated are the files of the home in which paths are changed, or cannot be.
	Relocated []RelocatedFile `json:"relocated,omitempty"`
	// Ambiguous are paths and lines that a person has to look at: there is no new place for them.
	Ambiguous []string `json:"ambiguous,omitempty"`
	// Activates says that the agents will be loaded.
	Activates bool `json:"activates_agents"`
	// Phases are those that follow when the files are in place, by restore_maia.sh.
	Phases []Phase `json:"phases,omitempty"`
	// GitRemotes are the addresses that the git history comes from, if it is to come back; restore_maia.sh asks only those
	// that it finds harmless.
	GitRemotes []string `json:"git_remotes,omitempty"`
}

// PlannedComponent is a row of the plan.
type PlannedComponent struct {
	Name  string `json:"name"`
	Files int    `json:"files"`
	Bytes int64  `json:"bytes"`
	To    string `json:"to"`
}

// RestoreResult is what a restore came to.
type RestoreResult struct {
	Plan *RestorePlan
	// Done is false after a dry run or when the user said no.
	Done      bool
	Restored  int
	Equal     int
	Databases int
	Bytes     int64
	// MovedAside is the folder with what was in the way; empty if nothing was.
	MovedAside string
	// Failed are files that could not be restored, and why; Doubtful databases that are restored but fail their check.
	Failed   []string
	Doubtful []string
	// Agents says of each agent in the target home whether it was loaded.
	Agents []AgentResult
	// Versions compares the machine that was backed up with this one; of a whole restore into a home only.
	Versions []VersionChange
	// Phases is what came of them; nil: there were none.
	Phases   *PhaseResult
	Duration time.Duration
}
