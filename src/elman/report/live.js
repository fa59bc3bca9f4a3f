/* elman's viewer, made by `make viewer` from sources 0e35e34d6ee040f945aa8ffc7987f5eeb0badb5af38c5cc1dd7ced2f60c029cc */
/*! uPlot
The MIT License (MIT)

Copyright (c) 2022 Leon Sorokin

Permission is hereby granted, free of charge, to any person obtaining a copy
of this software and associated documentation files (the "Software"), to deal
in the Software without restriction, including without limitation the rights
to use, copy, modify, merge, publish, distribute, sublicense, and/or sell
copies of the Software, and to permit persons to whom the Software is
furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in
all copies or substantial portions of the Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR
IMPLIED, INCLUDING BUT NOT LIMITED TO THE WARRANTIES OF MERCHANTABILITY,
FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE
AUTHORS OR COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER
LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR OTHERWISE, ARISING FROM,
OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN
THE SOFTWARE.
*/
(()=>{var{link:e}=window.elman,t,a=0;e.post=n=>fetch(n,{method:"POST"});function r(){t=new EventSource(`events?${new URLSearchParams({after:e.id,page:e.page})}`),t.onopen=()=>e.is("on"),t.addEventListener("parts",n=>e.received(n.lastEventId,n.data)),t.addEventListener("reload",()=>e.reload()),t.onerror=()=>{e.is("lost"),t.readyState===EventSource.CLOSED&&(clearTimeout(a),a=setTimeout(r,1e3))}}r();addEventListener("pagehide",()=>t.close());})();
