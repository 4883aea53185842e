/* Asks before a subtree is moved, when the server answers a drop with a question and not with the move. */
"use strict";

(function () {
    function ask(html) {
        const dialog = document.createElement("dialog");
        dialog.className = "question";
        dialog.innerHTML = html;  // written by the server, for this page
        document.body.append(dialog);
        dialog.addEventListener("close", () => dialog.remove());
        dialog.querySelector("[data-close]").addEventListener("click", () => dialog.close());
        dialog.showModal();
    }

    django.jQuery.ajaxPrefilter((options, original) => {
        if (!original.data || original.data.cmd !== "move_node") {
            return;
        }
        options.complete = (answer) => {
            if (!answer.getResponseHeader("X-Question")) {
                window.location.reload();
                return;
            }
            django.jQuery("#drag-line, #ghost").remove();
            ask(answer.responseText);
        };
    });
})();
