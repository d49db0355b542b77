package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"

	"maia-dr/engine"
	"maia-dr/keychain"
)

func (a *app) doctorCommand() *cobra.Command {
	var fix bool
	cmd := &cobra.Command{
		Use: "doctor", Short: "Look at every precondition, each with its remedy", Args: argsBetween(0, 0),
		Long: `Look at everything that a backup, its upload and a restore need, in the order in which to mend it. What cannot be
found out here is said to be unknown, never fine.

Exit code 0: nothing is to be done, 3: something needs attention, 1: no backup can be made, or none restored.`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := a.diagnose(cmd.Context(), fix)
			switch d.Overall {
			case engine.CheckFailed:
				a.exit = ExitFailed
			case engine.CheckAttention:
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.writeJSON(d)
			}
			a.printDiagnosis(d)
			return nil
		},
	}
	cmd.Flags().BoolVar(&fix, "fix", false, "mend what can be mended without touching anything of yours")
	return cmd
}

// diagnose is the engine's diagnosis with what only the command line can see: configuration, Keychain, signature.
func (a *app) diagnose(ctx context.Context, fix bool) *engine.Diagnosis {
	e, err := a.engine(nil)
	if err != nil {
		d := &engine.Diagnosis{Version: 1}
		d.Add(errorCheck(engine.CheckConfiguration, engine.CheckFailed, err))
		return d
	}
	d := e.Doctor(ctx, fix)
	d.Add(engine.Check{Name: engine.CheckConfiguration, State: engine.CheckOK, Text: "it can be read"})
	d.Add(a.checkPassword(ctx, e))
	d.Add(a.checkSchedule(ctx, e, fix)...)
	d.Add(a.checkNotifications(ctx)...)
	if runtime.GOOS == "darwin" {
		d.Add(a.checkSignature(ctx))
	}
	return d
}

// errorCheck is a check that ended with an error.
func errorCheck(name string, state engine.CheckState, err error) engine.Check {
	c := engine.Check{Name: name, State: state, Text: err.Error()}
	if known, ok := errors.AsType[*engine.Error](err); ok {
		c.Remedy = known.Advice()
	}
	return c
}

// checkPassword says whether the next backup will have a vault, and whether the password opens the newest one.
func (a *app) checkPassword(ctx context.Context, e *engine.Engine) engine.Check {
	c := engine.Check{Name: engine.CheckPassword, State: engine.CheckAttention}
	p, err := a.fromKeychain(ctx)
	switch {
	case errors.Is(err, engine.ErrNoPassword):
		c.Text, c.Remedy = "no vault password is set: credentials are in no backup", "set one with `maia-dr password set`"
		return c
	case err != nil:
		return errorCheck(engine.CheckPassword, engine.CheckAttention, err)
	}
	v, err := e.CheckPassword(ctx, "", p)
	switch {
	case err == nil:
		c.State, c.Text = engine.CheckOK, fmt.Sprintf("it is in the Keychain and opens the vault of %s", v.BackupID)
	case engine.CodeOf(err) == engine.CodePasswordWrong:
		c.Text = "the password in the Keychain does not open the newest vault"
		c.Remedy = "if you changed it, the next backup uses the new one and older vaults keep theirs; else set the right one with `maia-dr password rotate`"
	case engine.CodeOf(err) == engine.CodeNoBackup, engine.CodeOf(err) == engine.CodeNoRepository, engine.CodeOf(err) == engine.CodeNoOneDrive:
		c.State, c.Text = engine.CheckOK, "it is in the Keychain; no vault was made yet"
	default:
		return errorCheck(engine.CheckPassword, engine.CheckAttention, err)
	}
	return c
}

// checkSignature says how often macOS will ask about the Keychain and privacy.
func (a *app) checkSignature(ctx context.Context) engine.Check {
	c := engine.Check{Name: engine.CheckProgram, State: engine.CheckUnknown, Text: "how this program is signed cannot be told"}
	path, err := os.Executable()
	if err != nil {
		return c
	}
	s, err := keychain.SignatureOf(ctx, keychain.Run, path)
	if err != nil {
		return c
	}
	const again = "macOS takes each new build for another program, and asks again for the Keychain and for folders"
	switch s {
	case keychain.SignatureApple:
		c.State, c.Text = engine.CheckOK, "signed with a certificate of Apple's: Keychain and privacy grants outlive an update"
	case keychain.SignatureNone:
		c.State, c.Text, c.Remedy = engine.CheckAttention, "not signed: "+again, "install a signed release, or sign it with `codesign --sign - "+clean(path)+"`"
	case keychain.SignatureAdHoc, keychain.SignatureOther:
		c.State, c.Text = engine.CheckOK, "signed by itself, not by a certificate of Apple's: "+again
	}
	return c
}

// checkTitles are the names of the checks for people.
var checkTitles = map[string]string{
	engine.CheckConfiguration: "Configuration", engine.CheckStateDir: "State", engine.CheckRoot: "Maia root",
	engine.CheckOneDrive: "OneDrive folder", engine.CheckAccess: "Access", engine.CheckSpace: "Space",
	engine.CheckRepository: "Repository", engine.CheckPassword: "Vault password", engine.CheckProgram: "Program",
	engine.CheckSchedule: "Schedule", engine.CheckTools: "Tools", engine.CheckNotifications: "Notifications",
	engine.CheckLastBackup: "Last backup", engine.CheckUpload: "Upload", engine.CheckDrill: "Drill",
	engine.CheckSheet: "Recovery sheet", engine.CheckIndex: "Block index", engine.CheckFootprint: "Footprint",
	engine.CheckClock: "Clock", engine.CheckVersion: "Version",
}

var checkWords = map[engine.CheckState]string{
	engine.CheckOK: "ok", engine.CheckUnknown: "unknown", engine.CheckAttention: "ATTENTION", engine.CheckFailed: "FAILED",
}

func (a *app) printDiagnosis(d *engine.Diagnosis) {
	var wrong, unknown int
	for _, c := range d.Checks {
		word := checkWords[c.State]
		switch {
		case c.Fixed:
			word = "mended"
		case c.State == engine.CheckUnknown:
			unknown++
		case c.State != engine.CheckOK:
			wrong++
		}
		if a.flags.quiet && c.State == engine.CheckOK && !c.Fixed {
			continue
		}
		a.printf("%-9s  %s: %s\n", word, checkTitles[c.Name], clean(c.Text))
		if c.Remedy != "" {
			a.printf("           what to do: %s\n", clean(c.Remedy))
		}
	}
	switch {
	case wrong > 0:
		a.printf("\n%s attention; begin with the first.\n", count(wrong, "thing needs", "things need"))
	case unknown > 0:
		a.printf("\nNothing is to be done; %s could not be found out here.\n", count(unknown, "thing", "things"))
	default:
		a.printf("\nAll is well.\n")
	}
}
