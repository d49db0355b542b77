package cli

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"maia-dr/engine"
)

func (a *app) pruneCommand() *cobra.Command {
	var o engine.PruneOptions
	cmd := &cobra.Command{
		Use: "prune", Short: "Remove old backups by the retention rule", Args: argsBetween(0, 0),
		Long: `Remove old backups: 7 daily, 4 weekly and 12 monthly ones stay, and further ones for reasons that are shown.
Every backup run does this at its end.`,
		Example: `  maia-dr prune --dry-run`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			res, err := e.Prune(cmd.Context(), o)
			if err != nil {
				return err
			}
			if res.ChunksKept != "" {
				a.exit = ExitIncomplete
			}
			if a.flags.json {
				return a.writeJSON(pruneJSON(res))
			}
			a.printPrune(res)
			return nil
		},
	}
	cmd.Flags().BoolVar(&o.DryRun, "dry-run", false, "only say what would be removed")
	cmd.Flags().StringVar(&o.Forget, "forget", "", "give up the backup `ID`: it no longer counts, and what is left of it is kept")
	completeFlag(cmd, "forget", a.completeBackups)
	return cmd
}

type pruneOutput struct {
	Version    int             `json:"version"`
	DryRun     bool            `json:"dry_run"`
	Decisions  []pruneDecision `json:"decisions"`
	Removed    []string        `json:"removed"`
	Forgotten  string          `json:"forgotten,omitempty"`
	FreedBytes int64           `json:"freed_bytes"`
	Foreign    []string        `json:"foreign,omitempty"`
	ChunksKept string          `json:"chunks_kept_because,omitempty"`
}

type pruneDecision struct {
	BackupID string   `json:"backup_id"`
	Keep     bool     `json:"keep"`
	Reasons  []string `json:"reasons,omitempty"`
}

func pruneJSON(r *engine.PruneResult) pruneOutput {
	out := pruneOutput{Version: 1, DryRun: r.DryRun, Removed: r.Removed, Forgotten: r.Forgotten, FreedBytes: r.FreedBytes,
		Foreign: r.Foreign, ChunksKept: r.ChunksKept, Decisions: []pruneDecision{}}
	for _, d := range r.Decisions {
		out.Decisions = append(out.Decisions, pruneDecision{BackupID: d.ID, Keep: d.Keep, Reasons: d.Reasons})
	}
	if out.Removed == nil {
		out.Removed = []string{}
	}
	return out
}

func (a *app) printPrune(r *engine.PruneResult) {
	var rows [][]string
	for _, d := range slices.Backward(r.Decisions) {

		verdict, why := "keep", strings.Join(d.Reasons, "; ")
		if !d.Keep {
			verdict, why = "remove", "no rule keeps it"
		}
		rows = append(rows, []string{d.ID, verdict, why})
	}
	table(a.Out, rows)
	verb := "Removed"
	if r.DryRun {
		verb = "Would remove"
	}
	if r.Forgotten != "" {
		a.printf("%s no longer counts; what is left of it is kept.\n", r.Forgotten)
	}
	a.printf("%s %s, %s.\n", verb, count(len(r.Removed), "backup", "backups"), size(r.FreedBytes))
	for _, id := range r.Foreign {
		a.say("%s was not made or adopted by this machine. It is kept.\n", id)
	}
	if r.ChunksKept != "" {
		a.say("No chunk was deleted: %s.\n", clean(r.ChunksKept))
	}
}
