package engine

import (
	"errors"
	"fmt"
)

// Code classifies an Error. It is part of the JSON output and maps to one exit code.
type Code string

// The codes. Each has a hint below.
const (
	CodeFailed          Code = "failed"
	CodeUsage           Code = "usage"
	CodeNoRoot          Code = "no_maia_root"
	CodeNoOneDrive      Code = "no_onedrive_folder"
	CodeBusy            Code = "another_run_is_active"
	CodeCancelled       Code = "cancelled"
	CodeDiskFull        Code = "disk_full"
	CodeReadOnly        Code = "folder_not_writable"
	CodeNoRepository    Code = "no_repository"
	CodeRepositoryGone  Code = "repository_gone"
	CodeForeignWriter   Code = "another_machines_repository"
	CodeNewerFormat     Code = "newer_format"
	CodeUnknownBackup   Code = "unknown_backup"
	CodeAmbiguous       Code = "ambiguous_backup"
	CodeNoBackup        Code = "no_backup"
	CodeIncomplete      Code = "backup_incomplete"
	CodeDamaged         Code = "damaged"
	CodeState           Code = "state_damaged"
	CodeConfig          Code = "configuration"
	CodePasswordMissing Code = "password_missing"
	CodePasswordWrong   Code = "password_wrong"
	CodeSecretLeak      Code = "secret_in_plain"
	CodeLedger          Code = "sync_ledger"
	CodeDownload        Code = "download_failed"
	CodeEvicted         Code = "in_the_cloud_only"
	CodeCloud           Code = "microsoft_graph"
)

// hints say what to do about each code where the place that found the error knows nothing better.
var hints = map[Code]string{
	CodeFailed:          "look at the log that `maia-dr status --verbose` names, and run the command again",
	CodeUsage:           "run the command with --help to see what it takes",
	CodeNoRoot:          "name the folder to protect with --maia-root DIR or set MAIA_ROOT",
	CodeNoOneDrive:      "start OneDrive and sign in, or name its folder with --onedrive-path DIR or MAIA_ONEDRIVE_PATH",
	CodeBusy:            "wait until it ends (`maia-dr status` shows it), then try again",
	CodeCancelled:       "earlier backups are untouched; run the command again when it suits",
	CodeDiskFull:        "free some space and run the command again; earlier backups are untouched",
	CodeReadOnly:        "make the folder writable for you and run the command again",
	CodeNoRepository:    "make a first backup with `maia-dr backup`, or name the OneDrive folder that holds MaiaBackups with --onedrive-path DIR",
	CodeRepositoryGone:  "wait until OneDrive has finished syncing, restore MaiaBackups from OneDrive's recycle bin, or begin anew with another --state-dir",
	CodeForeignWriter:   "if this machine should take over, run `maia-dr backup --adopt`; the other one can then no longer write",
	CodeNewerFormat:     "install the newest maia-dr and run the command again",
	CodeUnknownBackup:   "see the backups with `maia-dr list`",
	CodeAmbiguous:       "give more of its name; see the backups with `maia-dr list`",
	CodeNoBackup:        "make one with `maia-dr backup`",
	CodeIncomplete:      "wait until OneDrive has synced, or choose an earlier backup from `maia-dr list`",
	CodeDamaged:         "run `maia-dr verify --all` to see what else is affected; the next backup stores damaged parts again",
	CodeState:           "move the state directory away and run `maia-dr backup --adopt`; the backups in OneDrive are not touched by that",
	CodeConfig:          "correct the configuration file; docs/configuration.md lists every key",
	CodePasswordWrong:   "try again with the password of that backup's number, see `maia-dr list`; your password manager or the recovery sheet may have it",
	CodeSecretLeak:      "this is a fault of the program: please report it with the names above, which are no secrets; earlier backups are untouched",
	CodeLedger:          "remove that file: the watching begins anew, and nothing is called uploaded before OneDrive says so again",
	CodeDownload:        "look at OneDrive's cloud in the menu bar: it has to be online, signed in and not paused; then run the command again",
	CodeEvicted:         "let it be downloaded: with --download where the command has it, else open the folder in Finder and choose Download Now",
	CodeCloud:           "look at the connection, and run the command again later",
	CodePasswordMissing: "set one with `maia-dr password set`, or leave the vault out with --no-vault",
}

// Error is what a user is told: what was tried, on what, why it failed, and what to do next.
type Error struct {
	// Op is what was being done, as a verb phrase: "back up".
	Op   string
	Path string
	Code Code
	// Hint says what to do next. Empty: the code's own.
	Hint string
	Err  error
}

func (e *Error) Error() string {
	switch {
	case e.Path != "" && e.Err != nil:
		return fmt.Sprintf("%s: %s: %v", e.Op, e.Path, e.Err)
	case e.Err != nil:
		return fmt.Sprintf("%s: %v", e.Op, e.Err)
	}
	return e.Op
}

func (e *Error) Unwrap() error { return e.Err }

// Advice returns what to do next.
func (e *Error) Advice() string {
	if e.Hint != "" {
		return e.Hint
	}
	return hints[e.Code]
}

// Codes returns every code there is.
func Codes() []Code {
	out := make([]Code, 0, len(hints))
	for c := range hints {
		out = append(out, c)
	}
	return out
}

// CodeOf returns an error's code; CodeFailed where it has none.
func CodeOf(err error) Code {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Code
	}
	return CodeFailed
}
