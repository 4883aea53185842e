"use strict";
// Sends the rule to the server whenever it is changed, and shows the rows, the text and the preview that it
// makes of it; where numbers are estimates, it has them counted while nobody writes. Without this script the buttons of the page do the same.
document.addEventListener("DOMContentLoaded", function () {
    const form = document.getElementById("rule-form");
    const parts = ["rule-choices", "rule-editor", "rule-preview"];
    let timer = 0;
    let asked = 0;

    async function send(action) {
        const number = ++asked;
        const data = new FormData(form);
        data.set("do", action);
        document.getElementById("rule-preview").classList.add("waiting");
        const response = await fetch(form.action, { method: "POST", body: data, redirect: "manual" });
        if (number !== asked || !response.ok) {
            return;
        }
        const page = new DOMParser().parseFromString(await response.text(), "text/html");
        const typing = document.activeElement;
        const inputs = Array.from(form.querySelectorAll("#rule-editor input:not([type=hidden]), #rule-editor select, #rule-text"));
        const place = inputs.indexOf(typing);
        const selection = typing && typing.selectionStart;
        for (const name of ["previewed", "shown_text"]) {
            form.elements[name].value = page.querySelector(`[name="${name}"]`).value;
        }
        for (const id of parts) {
            document.getElementById(id).replaceWith(page.getElementById(id));
        }
        form.querySelector(".submit-row").replaceWith(page.querySelector("#rule-form .submit-row"));
        if (action === "preview" && document.getElementById("rule-estimate")) {
            timer = setTimeout(send, 700, "count");
        }
        if (place >= 0) {
            const again = form.querySelectorAll("#rule-editor input:not([type=hidden]), #rule-editor select, #rule-text")[place];
            if (again) {
                again.focus();
                if (typeof selection === "number" && again.type !== "select-one") {
                    again.setSelectionRange(selection, selection);
                }
            }
        }
    }

    function isComplete() {
        return Array.from(form.querySelectorAll(".rule-row")).every(function (row) {
            const field = row.querySelector("[name=row_field]").value.trim();
            const test = row.querySelector("[name=row_test]").value;
            const value = row.querySelector("[name=row_value]").value.trim();
            return field && (value || test === "known" || test === "unknown");
        });
    }

    form.addEventListener("change", function (event) {
        if (event.target.name === "row_test") {
            const value = event.target.closest(".rule-row").querySelector("[name=row_value]");
            value.classList.toggle("unused", ["known", "unknown"].includes(event.target.value));
        }
    });
    form.addEventListener("input", function (event) {
        clearTimeout(timer);
        asked++;
        if (event.target.id === "rule-text" || isComplete()) {
            timer = setTimeout(send, 700, "preview");
        }
    });
    form.addEventListener("submit", function (event) {
        const button = event.submitter;
        if (button && /^(preview|count|add_|remove_)/.test(button.value)) {
            event.preventDefault();
            clearTimeout(timer);
            send(button.value);
        }
    });
    if (document.getElementById("rule-text").value.trim()) {
        send("preview");
    }
});
