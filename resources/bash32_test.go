package resources

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"mvdan.cc/sh/v3/syntax"
)

// newerThanBash32 returns what bash 3.2, the Mac's, does not understand or gets wrong. Neither bash -n nor shellcheck
// tells: a newer bash checks by its own grammar.
func newerThanBash32(script string) ([]string, error) {
	file, err := syntax.NewParser(syntax.Variant(syntax.LangBash), syntax.KeepComments(true)).Parse(strings.NewReader(script), "")
	if err != nil {
		return nil, err
	}
	c := &checker32{}
	syntax.Walk(file, c.visit)
	return c.found, nil
}

type checker32 struct {
	found   []string
	parents []syntax.Node
}

func (c *checker32) refuse(n syntax.Node, what string) {
	c.found = append(c.found, fmt.Sprintf("line %d: %s", n.Pos().Line(), what))
}

// inside reports whether a parent of the node at hand has the type T.
func inside[T syntax.Node](c *checker32) bool {
	return slices.ContainsFunc(c.parents, func(n syntax.Node) bool { _, ok := n.(T); return ok })
}

func (c *checker32) visit(n syntax.Node) bool {
	if n == nil {
		c.parents = c.parents[:len(c.parents)-1]
		return true
	}
	switch n := n.(type) {
	case *syntax.CoprocClause:
		c.refuse(n, "coproc")
	case *syntax.BinaryCmd:
		if n.Op == syntax.PipeAll {
			c.refuse(n, "|&")
		}
	case *syntax.CaseItem:
		if n.Op != syntax.Break {
			c.refuse(n, n.Op.String()+" in case")
		}
	case *syntax.CaseClause:
		if inside[*syntax.CmdSubst](c) {
			c.refuse(n, "case in $( ): its ) ends the substitution")
		}
	case *syntax.Comment:
		if inside[*syntax.CmdSubst](c) && strings.ContainsAny(n.Text, "'\"`)(") {
			c.refuse(n, "a quote or parenthesis in a comment in $( )")
		}
	case *syntax.Redirect:
		c.redirect(n)
	case *syntax.DeclClause:
		for _, a := range n.Args {
			if a.Naked && a.Name == nil && a.Value != nil {
				c.option(n, n.Variant.Value, word(a.Value), "Anglu")
			}
		}
	case *syntax.Assign:
		if n.Index != nil && negative(n.Index) {
			c.refuse(n, "negative index")
		}
	case *syntax.CallExpr:
		c.call(n)
	case *syntax.ParamExp:
		c.param(n)
	case *syntax.UnaryTest:
		if n.Op == syntax.TsVarSet || n.Op == syntax.TsRefVar {
			c.refuse(n, "[[ "+n.Op.String())
		}
	case *syntax.SglQuoted:
		if n.Dollar && (strings.Contains(n.Value, `\u`) || strings.Contains(n.Value, `\U`)) {
			c.refuse(n, `$'\u'`)
		}
	case *syntax.Word:
		c.braces(n)
	}
	c.parents = append(c.parents, n)
	return true
}

func (c *checker32) redirect(n *syntax.Redirect) {
	switch {
	case n.Op == syntax.AppAll:
		c.refuse(n, "&>>")
	case n.N != nil && strings.HasPrefix(n.N.Value, "{"):
		c.refuse(n, "{name}> redirection")
	case n.Hdoc != nil && inside[*syntax.CmdSubst](c):
		c.refuse(n, "here-document in $( )")
	}
}

// option refuses letters in an argument that is an option.
func (c *checker32) option(n syntax.Node, command, arg, letters string) {
	if len(arg) > 1 && arg[0] == '-' && arg[1] != '-' && strings.ContainsAny(arg, letters) {
		c.refuse(n, command+" "+arg)
	}
}

func (c *checker32) call(n *syntax.CallExpr) {
	if len(n.Args) == 0 {
		return
	}
	name := word(n.Args[0])
	var args []string
	for _, a := range n.Args[1:] {
		args = append(args, word(a))
	}
	switch name {
	case "mapfile", "readarray", "coproc", "compopt":
		c.refuse(n, name)
	case "declare", "typeset", "local":
		for _, a := range args {
			c.option(n, name, a, "Anglu")
		}
	case "wait":
		for _, a := range args {
			c.option(n, name, a, "np")
		}
	case "read":
		for i, a := range args {
			c.option(n, name, a, "Ni")
			if a == "-t" && i+1 < len(args) && strings.Contains(args[i+1], ".") {
				c.refuse(n, "read -t with a fraction")
			}
		}
	case "test", "[":
		if len(args) > 1 && slices.ContainsFunc(args, func(a string) bool { return a == "-v" || a == "-R" }) {
			c.refuse(n, name+" -v")
		}
	case "printf":
		if len(args) > 1 && args[0] == "-v" && strings.Contains(args[1], "[") {
			c.refuse(n, "printf -v into an array")
		}
		if slices.ContainsFunc(args, func(a string) bool { return strings.Contains(a, "%(") }) {
			c.refuse(n, "printf %( )T")
		}
	case "shopt":
		for _, a := range args {
			if slices.Contains([]string{"globstar", "lastpipe", "autocd", "dirspell", "inherit_errexit", "globasciiranges", "localvar_inherit"}, a) {
				c.refuse(n, "shopt "+a)
			}
		}
	}
}

var variables32 = []string{"BASHPID", "EPOCHSECONDS", "EPOCHREALTIME", "SRANDOM", "BASH_ARGV0", "READLINE_LINE", "MAPFILE", "COPROC", "PROMPT_DIRTRIM", "BASH_XTRACEFD"}

func (c *checker32) param(n *syntax.ParamExp) {
	if n.Param != nil && slices.Contains(variables32, n.Param.Value) {
		c.refuse(n, "$"+n.Param.Value)
	}
	if n.Index != nil && negative(n.Index) {
		c.refuse(n, "negative index")
	}
	if n.Slice != nil && n.Slice.Length != nil && negative(n.Slice.Length) {
		c.refuse(n, "negative length")
	}
	if n.Exp != nil {
		switch n.Exp.Op {
		case syntax.UpperFirst, syntax.UpperAll, syntax.LowerFirst, syntax.LowerAll, syntax.OtherParamOps:
			c.refuse(n, "${x"+n.Exp.Op.String()+"}")
		}
	}
	if n.Repl != nil && n.Repl.With != nil {
		for _, p := range n.Repl.With.Parts {
			switch p.(type) {
			case *syntax.DblQuoted, *syntax.SglQuoted:
				c.refuse(n, "quotes in the replacement of ${x/y/z} stay in the result")
			}
		}
	}
	c.array(n)
}

// array refuses "${a[@]}" of an array that may be empty: with set -u, that is an error. ${a[@]+"${a[@]}"} is right.
func (c *checker32) array(n *syntax.ParamExp) {
	all, ok := n.Index.(*syntax.Word)
	if !ok || n.Length || n.Param == nil || n.Param.Value == "PIPESTATUS" || word(all) != "@" && word(all) != "*" {
		return
	}
	if n.Exp != nil && n.Exp.Op == syntax.AlternateUnset {
		return
	}
	for _, p := range c.parents {
		if p, ok := p.(*syntax.ParamExp); ok && p.Exp != nil && p.Exp.Op == syntax.AlternateUnset && p.Param.Value == n.Param.Value {
			return
		}
	}
	c.refuse(n, "${"+n.Param.Value+"[@]} without ${"+n.Param.Value+"[@]+ } around it")
}

// braces refuses sequences with a step or with leading zeros.
func (c *checker32) braces(n *syntax.Word) {
	if len(n.Parts) == 0 || len(c.parents) > 0 && isBrace(c.parents[len(c.parents)-1]) {
		return
	}
	split := *n
	split.Parts = slices.Clone(n.Parts)
	syntax.SplitBraces(&split)
	for _, p := range split.Parts {
		b, ok := p.(*syntax.BraceExp)
		if !ok || !b.Sequence {
			continue
		}
		if len(b.Elems) > 2 {
			c.refuse(n, "{a..b..step}")
		}
		if first := word(b.Elems[0]); len(first) > 1 && first[0] == '0' {
			c.refuse(n, "{01..10}")
		}
	}
}

func isBrace(n syntax.Node) bool { _, ok := n.(*syntax.BraceExp); return ok }

func negative(x syntax.ArithmExpr) bool {
	switch x := x.(type) {
	case *syntax.UnaryArithm:
		return x.Op == syntax.Minus
	case *syntax.ParenArithm:
		return negative(x.X)
	case *syntax.Word:
		return strings.HasPrefix(word(x), "-")
	}
	return false
}

// word is the text of a word as far as it is fixed, without its quotes.
func word(w *syntax.Word) string {
	var out strings.Builder
	var add func([]syntax.WordPart)
	add = func(parts []syntax.WordPart) {
		for _, p := range parts {
			switch p := p.(type) {
			case *syntax.Lit:
				out.WriteString(p.Value)
			case *syntax.SglQuoted:
				out.WriteString(p.Value)
			case *syntax.DblQuoted:
				add(p.Parts)
			}
		}
	}
	add(w.Parts)
	return out.String()
}

func TestScriptIsBash32(t *testing.T) {
	t.Parallel()
	found, err := newerThanBash32(string(RestoreScript))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range found {
		t.Error(f)
	}
}

// TestBash32Checker: each construct that bash 3.2 lacks is refused, and what it has is not.
func TestBash32Checker(t *testing.T) {
	t.Parallel()
	for _, s := range []string{
		"declare -A x", "local -A x", "typeset -A x=()", "declare -n x=y", "declare -g x=1", "local -l x", "declare -u x", "declare -gx x=1",
		"mapfile -t x", "readarray x", "coproc cat", "a |& b", "a &>> b", "exec {fd}< x", "exec {fd}>&-", "x=${y,,}", "x=${y^^}", "x=${y,}", "x=${y^}",
		"x=${y@Q}", "x=${y[-1]}", "x=${y[@]: -1:-1}", "x=${y:0:-1}", "y[-1]=x", "wait -n", "case x in x) a ;& y) b ;; esac", "case x in x) a ;;& y) b ;; esac",
		"test -v x", "[ -v x ]", "[[ -v x ]]", "[[ -R x ]]", "printf -v 'x[0]' y", "printf '%(%s)T' -1", "read -N 1 x", "read -i x y", "read -t 0.5 x",
		"shopt -s globstar", "shopt -s lastpipe", "echo $BASHPID", "echo ${EPOCHSECONDS}", "echo {1..10..2}", "echo {01..10}", `x=$'\u00e9'`,
		"x=$(case y in y) z ;; esac)", "x=$(\n# don't\ny)", "x=$(cat << END\ny\nEND\n)", `x=${y/a/"b"}`, `f "${a[@]}"`, `f ${a[*]}`, `for x in "${a[@]}"; do :; done`,
	} {
		found, err := newerThanBash32("x() {\n" + s + "\n}\n")
		if err != nil {
			t.Errorf("%s: %v", s, err)
		} else if len(found) == 0 {
			t.Errorf("%s: not refused", s)
		}
	}
	for _, s := range []string{
		"declare -a x", "local x=1", "local -r x=1", "readonly x=1", "export x", "a | b", "a &> b", "exec 3< x", "x=${y:-z}", "x=${y#z}", "x=${y%%z}", "x=${y[0]}",
		"x=${y: -1}", "x=${y:0:2}", "x=${y/a/b}", "x=${y//[!a]/ }", "x+=y", "a+=(y)", "a[1]=x", "wait", "wait $!", "case x in x) a ;; esac", "[ -n x ]", "[[ x == y* ]]",
		"printf -v x y", "printf '%s' x", "read -r -d '' x", "read -t 5 x", "shopt -s nullglob", "echo {1..10}", "echo {a,b}", `x=$'\t'`, "x=$(y)", "x=$(y && (z))",
		`f ${a[@]+"${a[@]}"}`, `s=("${PIPESTATUS[@]}")`, "x=${#a[@]}", `f "$@"`, "cat <<< x", "cat << END\ny\nEND",
	} {
		found, err := newerThanBash32("x() {\n" + s + "\n}\n")
		if err != nil || len(found) > 0 {
			t.Errorf("%s: %v %v", s, found, err)
		}
	}
}
