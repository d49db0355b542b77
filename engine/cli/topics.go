package cli

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/spf13/cobra"
)

// entry is something with a name that the manual explains.
type entry struct{ name, text string }

// topic is a part of the manual that is about no command. "help NAME" shows it.
type topic struct {
	name, short string
	heading     string // in the manual page, by the habits of such pages
	intro       string
	terms       []entry
}

// topics are in the order of a manual page.
func topics() []topic {
	codes := make([]entry, len(ExitText))
	for i, c := range ExitText {
		codes[i] = entry{strconv.Itoa(c.Code), c.Text}
	}
	return []topic{
		{"environment", "Which variables of the environment count", "ENVIRONMENT",
			"A flag wins over each of the first three, and they win over the configuration.", environment},
		{"files", "Which files are read and written, and where they lie", "FILES",
			"Everything is found under the home folder, which --home can name.", files},
		{"exit-codes", "What the exit codes mean", "EXIT STATUS",
			"The same in every command and in restore_maia.sh. status and schedule status: 0 fine, 3 attention, 1 unreadable; doctor: " +
				"0 fine, 3 attention, 1 something keeps a backup or a restore from working.", codes},
	}
}

// environment are the variables that the program asks for.
var environment = []entry{
	{"MAIA_ROOT", "The folder to protect, as --maia-root."},
	{"MAIA_ONEDRIVE_PATH", "The OneDrive folder, as --onedrive-path."},
	{"MAIA_DR_STATE_DIR", "The folder for this machine's state, as --state-dir."},
	{"HOME", "The home folder, unless --home names one."},
	{"PATH", "Where the tools are whose packages are listed, and those that a restore uses."},
	{"PAGER", "What shows long answers on a terminal: a line for the shell, by default less -R; cat switches it off."},
	{"LESS", "Options of less, by default FRX."},
	{"NO_COLOR", "Anything in it switches colours off. They repeat what the words say."},
	{"TERM", "dumb switches colours and the pager off."},
	{"USER", "Whose Keychain items a vault takes where the configuration names no account."},
	{"XDG_STATE_HOME", "Not on a Mac: where the folder for the state is made, by default ~/.local/state."},
	{"XDG_CONFIG_HOME", "Not on a Mac: where systemd looks for units, by default ~/.config."},
	{"XDG_CURRENT_DESKTOP", "Not on a Mac: without it there is no desktop, and schedule install shows no menu at login."},
	{"DBUS_SESSION_BUS_ADDRESS", "Not on a Mac: where the Secret Service and the desktop's notifications are."},
}

// files are the places that a person may meet.
var files = []entry{
	{"~/.config/maia-dr/config.toml", "The configuration; it may be missing. docs/configuration.md has its keys."},
	{"~/Library/Application Support/Maia Recovery/", "On a Mac, this machine's state: the local copy of the last two backups, the history, " +
		"log/maia-dr.log and log/schedule.log, the report, the recovery sheet. It is never in OneDrive."},
	{"~/Library/Logs/Maia Recovery/", "On a Mac, what the schedule and the menu write before there is a log."},
	{"~/.local/state/maia-dr/", "On other systems, this machine's state."},
	{"~/Library/LaunchAgents/" + BackupLabel + ".plist", "On a Mac, the daily backup; " + MenuLabel + ".plist beside it is the menu at login."},
	{"~/.config/systemd/user/" + BackupLabel + ".timer", "On Linux, the daily backup."},
	{"OneDrive/MaiaBackups/", "The repository: the backups, the chunks that they share, README.txt."},
	{"OneDrive/MaiaBackups/restore_maia.sh", "The restore that needs nothing installed: bash restore_maia.sh --help lists its options."},
}

// command is the topic as "help" knows it. It cannot be run.
func (t topic) command() *cobra.Command {
	wide := 0
	for _, e := range t.terms {
		wide = max(wide, utf8.RuneCountInString(e.name))
	}
	text := &strings.Builder{}
	fmt.Fprintf(text, "%s.\n%s\n\n", t.short, fold(t.intro, 0))
	for _, e := range t.terms {
		if wide <= 30 {
			fmt.Fprintf(text, "  %-*s  %s\n", wide, e.name, fold(e.text, wide+4))
		} else {
			fmt.Fprintf(text, "  %s\n      %s\n", e.name, fold(e.text, 6))
		}
	}
	return &cobra.Command{Use: t.name, Short: t.short, Long: text.String()}
}

// screen is how many columns help takes at most.
const screen = 80

// fold breaks text into lines that fit the screen, the second and further ones indented.
func fold(text string, indent int) string {
	return strings.Join(wrap(strings.Fields(text), screen-indent), "\n"+strings.Repeat(" ", indent))
}

// foldHelp fits the prose of the commands to the screen.
func foldHelp(c *cobra.Command) {
	var parts []string
	for _, p := range paragraphs(c.Long) {
		if p.lines != nil {
			parts = append(parts, "  "+strings.Join(p.lines, "\n  "))
		} else {
			parts = append(parts, fold(p.prose, 0))
		}
	}
	c.Long = strings.Join(parts, "\n\n")
	for _, child := range c.Commands() {
		foldHelp(child)
	}
}

// wrap joins words to lines of at most width characters, a longer word alone.
func wrap(words []string, width int) (lines []string) {
	for _, w := range words {
		if n := len(lines) - 1; n >= 0 && utf8.RuneCountInString(lines[n])+1+utf8.RuneCountInString(w) <= width {
			lines[n] += " " + w
		} else {
			lines = append(lines, w)
		}
	}
	return lines
}
