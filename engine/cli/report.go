package cli

import (
	"bytes"
	"context"
	"fmt"
	"net/url"

	"github.com/spf13/cobra"

	"maia-dr/engine"
)

func (a *app) reportCommand() *cobra.Command {
	var open bool
	var output string
	cmd := &cobra.Command{
		Use: "report", Short: "One page with everything: history, sizes, times, coverage, findings", Args: argsBetween(0, 0),
		Long: `Write one self-contained HTML page: the three answers, a calendar of the last 60 days, sizes and times, what the backup
holds and what it does not, what needs you, and which rule keeps each backup. It needs no network and no script, and
prints. Its path is the answer; it is in the state directory unless --output names a file (- is standard output).`,
		Example: `  maia-dr report --open
  maia-dr report --output ~/Desktop/maia.html`,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			d := a.diagnose(cmd.Context(), false)
			e, err := a.engine(nil)
			if err != nil {
				return err
			}
			r, err := e.Report(cmd.Context(), d)
			if err != nil {
				return err
			}
			if a.flags.json {
				return a.writeJSON(r)
			}
			var page bytes.Buffer
			if err := writeReport(&page, r); err != nil {
				return err
			}
			if output == "-" {
				_, err := a.Out.Write(page.Bytes())
				return err
			}
			path, err := e.WriteReport(output, page.Bytes())
			if err != nil {
				return err
			}
			a.printf("%s\n", clean(path))
			if open {
				return a.show(cmd.Context(), path)
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&open, "open", false, "show it in the browser")
	cmd.Flags().StringVar(&output, "output", "", "write it to `FILE`")
	return cmd
}

// show opens a file in the browser.
func (a *app) show(ctx context.Context, path string) error {
	if a.OpenURL == nil {
		return &engine.Error{Op: "open the report", Code: engine.CodeFailed, Err: fmt.Errorf("there is no browser here"), Hint: "open " + clean(path)}
	}
	address := url.URL{Scheme: "file", Path: path}
	if err := a.OpenURL(ctx, address.String()); err != nil {
		return &engine.Error{Op: "open the report", Path: path, Code: engine.CodeFailed, Err: err, Hint: "open that file in a browser"}
	}
	return nil
}
