package editors

import (
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A neovim runs without a window. Keys come to it as they are typed.
type neovim struct {
	t      *testing.T
	socket string
}

// TestNeovim edits a file in Neovim: findings of the unsaved text, a fix, completion, hover, fixes when saving.
func TestNeovim(t *testing.T) {
	home, dir := install(t, "nvim")
	write(t, filepath.Join(home, "xdg_config_home/nvim/plugin/segue.lua"), pasted(t, "neovim", "neovim-save"))
	name := filepath.Join(dir, filepath.FromSlash(file))
	e := neovim{t, filepath.Join(home, "socket")}
	start(t, (*exec.Cmd).Start, "nvim", "--headless", "--listen", e.socket, name)
	await(t, "start", func() string { return e.try(`luaeval("vim.lsp.buf_get_clients(0)[1].initialized")`) }, "true")
	text := func() string { return e.eval(`join(getline(1, "$"), "\n")`) }
	findings := func() string {
		return e.lua(`(function() local out = {} for _, d in ipairs(vim.diagnostic.get(0)) do ` +
			`table.insert(out, (d.lnum + 1) .. ':' .. (d.col + 1) .. ' ' .. d.message) end return table.concat(out, ';') .. '.' end)()`)
	}

	e.keys(`:%s/{{userId}}/{{userID}}/<CR>`)
	await(t, "findings", findings, "9:12 unknown placeholder {{userID}}")
	if saved := read(t, name); strings.Contains(saved, "userID") {
		t.Fatalf("the file was saved:\n%s", saved)
	}

	// Neovim's own list would not answer other questions while it is shown.
	e.keys(`:lua vim.ui.select = function(items, _, choose) choose(items[1]) end<CR>`)
	e.keys(`/userID<CR>:lua vim.lsp.buf.code_action()<CR>`)
	await(t, "fix", text, `userId: "{{userId}}"`)
	await(t, "no findings", findings, ".")

	e.keys(`/accountName<CR>ct}`)
	await(t, "insert mode", func() string { return e.eval("mode()") }, "i")
	e.keys(`userN<C-x><C-o>`)
	await(t, "completion", text, `team: "{{userName}}"`)
	e.keys(`<Esc>`)

	e.keys(`/userName<CR>:lua vim.lsp.buf.hover()<CR>`)
	await(t, "hover", func() string {
		return e.lua(`(function() for _, w in ipairs(vim.api.nvim_list_wins()) do ` +
			`if vim.api.nvim_win_get_config(w).relative ~= '' then ` +
			`return table.concat(vim.api.nvim_buf_get_lines(vim.api.nvim_win_get_buf(w), 0, -1, true), ' ') end end return '' end)()`)
	}, "Triggers: pattern, journey")

	e.keys(`:%s/{{userId}}/{{userID}}/<CR>:w<CR>`)
	await(t, "fixed when saved", func() string { return read(t, name) }, "userId: \"{{userId}}\"\n\t\tevent:  \"Signed Up\"\n\t\tproperties: team: \"{{userName}}\"")
}

// keys types.
func (e neovim) keys(keys string) {
	e.t.Helper()
	run(e.t, exec.Command("nvim", "--server", e.socket, "--remote-send", keys))
}

// eval returns the value of an expression of Vim.
func (e neovim) eval(expression string) string {
	e.t.Helper()
	return run(e.t, exec.Command("nvim", "--server", e.socket, "--remote-expr", expression))
}

// lua returns the value of an expression of Lua without double quotes.
func (e neovim) lua(expression string) string {
	e.t.Helper()
	return e.eval(`luaeval("` + expression + `")`)
}

// try returns the value of an expression, "" if Neovim does not answer yet.
func (e neovim) try(expression string) string {
	out, err := exec.Command("nvim", "--server", e.socket, "--remote-expr", expression).CombinedOutput()
	if err != nil {
		return ""
	}
	return string(out)
}
