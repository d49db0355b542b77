package cli

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/engine/config"
	"maia-dr/engine/fsx"
	"maia-dr/keychain"
	"maia-dr/launchd"
	"maia-dr/tray/notify"
)

func (a *app) uninstallCommand() *cobra.Command {
	var o uninstallOptions
	cmd := &cobra.Command{
		Use: "uninstall", Short: "The way out: remove all but the backups, and say where they are", Args: argsBetween(0, 0),
		Long: `Remove the schedule, the menu at login, the state directory with its local copies, logs, configuration, and from the
Keychain addresses and the login for Microsoft Graph. The backups in OneDrive stay, and so does the vault password in the Keychain, which they can be opened with; --password deletes it too.`,
		RunE: func(cmd *cobra.Command, _ []string) error { return a.uninstall(cmd, &o) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.yes, "yes", false, "ask nothing")
	f.BoolVar(&o.password, "password", false, "delete the vault password, too: only you can then open the vaults")
	f.BoolVar(&o.force, "force", false, "even if backups that are only on this machine are lost")
	return cmd
}

type uninstallOptions struct{ yes, password, force bool }

// uninstalled is what became of it, also as JSON.
type uninstalled struct {
	Version int      `json:"version"`
	Removed []string `json:"removed"`
	// Kept is what lay in the state directory and is not the program's.
	Kept            []string `json:"kept,omitempty"`
	PasswordRemoved bool     `json:"password_removed"`
	// Unforgotten says what is still in the Keychain that should not be, and why.
	Unforgotten []string `json:"unforgotten,omitempty"`
	Repository  string   `json:"repository,omitempty"`
	Backups     int      `json:"backups"`
}

func (a *app) uninstall(cmd *cobra.Command, o *uninstallOptions) error {
	e, err := a.engine(nil)
	if err != nil {
		return err
	}
	there, err := e.Leftovers()
	if err != nil {
		return err
	}
	if len(there.OnlyHere) > 0 && !o.force {
		return &engine.Error{Op: "uninstall", Code: engine.CodeIncomplete,
			Err:  fmt.Errorf("%s not in OneDrive and would be lost: %s", count(len(there.OnlyHere), "backup is", "backups are"), strings.Join(there.OnlyHere, ", ")),
			Hint: "run `maia-dr backup`, which brings them there; or add --force"}
	}
	if !o.yes && a.flags.json {
		return usageErrorFor(cmd, errors.New("--json asks nothing: add --yes"))
	}
	if !o.yes {
		ok, err := a.confirmUninstall(cmd, there, o)
		if err != nil || !ok {
			return err
		}
	}
	out := &uninstalled{Version: 1, Repository: there.Repository, Backups: there.Backups, Removed: []string{}}
	if out.Removed, err = a.removeSchedule(cmd.Context(), "", true); err != nil {
		return err
	}
	if _, err := a.scheduler().Remove(cmd.Context(), probeLabel, true); err != nil {
		return scheduleError("uninstall", err)
	}
	if there.StateDir != "" {
		if open, err := fsx.Locked(filepath.Join(there.StateDir, "tray.lock")); err == nil && open {
			return &engine.Error{Op: "uninstall", Code: engine.CodeBusy, Err: errors.New("the menu is open, and would go on writing what is removed"),
				Hint: "choose Quit in the menu, and run `maia-dr uninstall` again"}
		}
	}
	a.tidy() // the log lies in what is removed now
	if there.StateDir != "" {
		kept, err := e.RemoveState()
		if err != nil {
			return err
		}
		for _, name := range kept {
			out.Kept = append(out.Kept, filepath.Join(there.StateDir, name))
		}
		if len(kept) == 0 {
			out.Removed = append(out.Removed, there.StateDir)
		}
	}
	a.forget(cmd.Context(), o.password, out)
	files, err := a.removeFiles()
	out.Removed = append(out.Removed, files...)
	if err != nil {
		return err
	}
	if a.flags.json {
		return a.writeJSON(out)
	}
	a.printUninstalled(out)
	return nil
}

// forget takes out of the Keychain what serves nothing any more: addresses of those who are told, the login for Microsoft
// Graph, and, where that is wanted, the vault password. A Keychain that cannot be asked keeps nobody from leaving.
func (a *app) forget(ctx context.Context, password bool, out *uninstalled) {
	items := []keychain.Item{channelItem(notify.HealthcheckAccount), channelItem(notify.WebhookAccount), graphItem}
	if password {
		items = append(items, vaultItem)
	}
	for _, item := range items {
		err := a.keychain().Delete(ctx, item)
		switch {
		case err == nil && item == vaultItem:
			out.PasswordRemoved = true
		case err == nil:
			out.Removed = append(out.Removed, item.Label)
		case errors.Is(err, keychain.ErrNotFound):
		case errors.Is(err, keychain.ErrUnavailable) && item != vaultItem:
			// Without a Keychain nothing was ever put into it from here.
		default:
			out.Unforgotten = append(out.Unforgotten, item.Label+": "+err.Error())
			a.exit = ExitIncomplete
		}
	}
}

// removeFiles removes what lies outside the state directory.
func (a *app) removeFiles() (removed []string, err error) {
	var disk *fsx.FS
	file := config.Path(a.home()) // one that was named elsewhere is not ours to remove
	paths := []string{file}
	if launchd.Supported {
		paths = append(paths, launchd.Manager{Home: a.home()}.LogDir())
	}
	for _, path := range paths {
		if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := disk.RemoveAll(path); err != nil {
			return removed, &engine.Error{Op: "uninstall", Path: path, Code: engine.CodeFailed, Err: err, Hint: "remove it by hand"}
		}
		removed = append(removed, path)
	}
	// The folder of the configuration, if nothing else is in it.
	_ = disk.Remove(filepath.Dir(file))
	return removed, nil
}

func (a *app) confirmUninstall(cmd *cobra.Command, there *engine.Leftovers, o *uninstallOptions) (bool, error) {
	a.say("This removes the schedule, the menu at login, the configuration, logs")
	if there.StateDir != "" {
		a.say(", and %s", clean(there.StateDir))
	}
	a.say(".\n%s\n", stays(there.Repository, there.Backups))
	answer, err := a.ask("Uninstall? [y/N] ")
	if err != nil {
		return false, usageErrorFor(cmd, fmt.Errorf("%w: add --yes", err))
	}
	if !isYes(answer) {
		a.printf("Nothing was removed.\n")
		return false, nil
	}
	if o.password {
		return true, nil
	}
	if _, err := a.fromKeychain(cmd.Context()); err == nil {
		answer, err := a.ask("Delete the vault password from the Keychain, too? The vaults in the backups open with nothing else. [y/N] ")
		if errors.Is(err, context.Canceled) {
			return false, err
		}
		o.password = err == nil && isYes(answer)
	}
	return true, nil
}

// stays says where the backups are.
func stays(repository string, backups int) string {
	switch {
	case repository == "":
		return "Where the backups are is not known: no OneDrive folder was found. Nothing in it is touched."
	case backups == 0:
		return "There are no complete backups in " + clean(repository) + "; nothing in it is touched."
	}
	return fmt.Sprintf("%s in %s; restore with: bash %s", count(backups, "backup stays", "backups stay"), clean(repository), clean(filepath.Join(repository, "restore_maia.sh")))
}

func (a *app) printUninstalled(out *uninstalled) {
	for _, r := range out.Removed {
		a.printf("Removed %s\n", clean(r))
	}
	for _, k := range out.Kept {
		a.printf("Left alone, since it is not of this program: %s\n", clean(k))
	}
	for _, u := range out.Unforgotten {
		a.printf("Still in the Keychain, remove it there: %s\n", clean(u))
	}
	if out.PasswordRemoved {
		a.printf("The vault password is no longer in the Keychain.\n")
	} else {
		a.printf("A vault password that is in the Keychain stays there; Keychain Access shows it as %q.\n", keychain.Service)
	}
	a.printf("%s\n", stays(out.Repository, out.Backups))
	a.say("The program itself: %s\n", clean(programRemoval(a.Executable)))
}

// programRemoval says how the program itself is removed.
func programRemoval(path string) string {
	switch {
	case strings.Contains(path, "/opt/maia-dr/"):
		return "`brew uninstall maia-dr`"
	case strings.Contains(path, ".app/Contents/"):
		app, _, _ := strings.Cut(path, ".app/")
		return "move " + app + ".app to the bin, or `brew uninstall --cask maia-recovery`"
	}
	return "remove " + path
}
