// vivant-avatar, a portrait that speaks. SPDX-License-Identifier: Apache-2.0
// Made by `npm run embed` from client_web/avatar; change that, not this.
// Sources: client_web/avatar/attributes.js client_web/avatar/element.js client_web/avatar/index.js client_web/avatar/place.js client_web/avatar/styles.js client_web/avatar/surface.js client_web/avatar/vocabulary.js client_web/avatar/voice.js client_web/caption_line.js client_web/compositor.js client_web/connection.js client_web/device_words.js client_web/dom.js client_web/events.js client_web/hush.js client_web/peer.js client_web/retry.js client_web/server.js client_web/words.js
// sha256 of them: 40db499623c9c13c0b603e56fae0faf3a5afeda666a1cfb9b83049ea3a70308c

var X=Object.defineProperty;var b=(i,t,e)=>()=>{if(e)throw e[0];try{return i&&(t=i(i=0)),t}catch(s){throw e=[s],s}};var M=(i,t)=>{for(var e in t)X(i,e,{get:t[e],enumerable:!0})};function $(i,{retryAfter:t=null,random:e=Math.random}={}){let n=Math.min(15,.5*2**(i-1))*(1-e()/4);return Math.max(n,t??0)}function p(i){return new Promise(t=>setTimeout(t,i))}var E=b(()=>{"use strict"});var D={};M(D,{Events:()=>R,readMessage:()=>U});function U(i){if(typeof i!="string")return null;let t;try{t=JSON.parse(i)}catch{return null}return typeof t=="object"&&t!==null&&"type"in t?t:null}var R,q=b(()=>{"use strict";R=class{roundTrip=null;opened;ended;#t;#s=performance.now();constructor(t,e){let s=new URL(t);s.protocol=s.protocol.replace("http","ws");let n=new WebSocket(s);this.#t=n,this.opened=new Promise((r,o)=>{n.addEventListener("open",()=>r()),n.addEventListener("close",()=>o(new Error("The event line did not open.")))}),this.opened.catch(()=>{}),this.ended=new Promise(r=>{let o=null;n.addEventListener("message",d=>{let u=U(d.data);u!==null&&(u.type==="session.closed"&&(o=u.reason),this.#i(u,e))});let a=setInterval(()=>{performance.now()-this.#s>12e3&&n.close(),this.send({type:"ping",t:performance.now()})},2e3);n.addEventListener("close",()=>{clearInterval(a),r(o)})})}send(t){return this.#t.readyState!==WebSocket.OPEN?!1:(this.#t.send(JSON.stringify(t)),!0)}close(){this.#t.close()}#i(t,e){this.#s=performance.now(),t.type==="pong"?this.roundTrip=performance.now()-t.t:e(t)}}});function ot(i,t){let e=i.samples-t.samples;return e>0?(i.seconds-t.seconds)/e*1e3:null}var it,nt,rt,j,T,F=b(()=>{"use strict";E();it=48,nt=20,rt=40,j=3e3,T=class{#t;#s=0;constructor(t){this.#t=t}async hold(){let t=this.#i();await p(j),this.#e(t)}async begin(){let t=this.#i(),e=this.#n(),s=performance.now()+j,n=await this.#r(),r=!1;for(;!r&&t===this.#s&&performance.now()<s;){await p(nt);let o=ot(await this.#r(),n),a=((this.#n()??0)-(e??0)>>>0)/it;r=o!==null&&a>o+rt}this.#e(t)}#i(){return this.#t.track.enabled=!1,++this.#s}#e(t){t===this.#s&&(this.#t.track.enabled=!0)}#n(){return this.#t.getSynchronizationSources()[0]?.rtpTimestamp}async#r(){for(let t of(await this.#t.getStats()).values())if(t.type==="inbound-rtp")return{samples:t.jitterBufferEmittedCount??0,seconds:t.jitterBufferDelay??0};return{samples:0,seconds:0}}}});var B={};M(B,{Peer:()=>N});function lt(i){return i.replaceAll(`a=end-of-candidates\r
`,"")}var at,ct,ht,N,H=b(()=>{"use strict";F();E();at=2e3,ct=5e3,ht=16384,N=class{stream=new MediaStream;#t;#s;#i;ended;#e=null;constructor(t,{channel:e=!1}={}){this.#t=new RTCPeerConnection({iceServers:t,bundlePolicy:"max-bundle"});let s=this.#t.addTransceiver("audio",{direction:"sendrecv"});if(this.#t.addTransceiver("video",{direction:"recvonly"}),this.#i=s.sender,e){let n={ordered:!1,maxRetransmits:0};this.#e=this.#t.createDataChannel("events",n)}this.#s=new T(s.receiver),this.#t.addEventListener("track",({track:n})=>this.stream.addTrack(n)),this.ended=new Promise(n=>this.#n(n))}async open(t){let e=this.#t;await e.setLocalDescription(await e.createOffer()),await Promise.race([this.#r(),p(at)]);let s=await t(lt(e.localDescription?.sdp??""));await e.setRemoteDescription(s),await this.#a()}async setMicrophone(t){await this.#i.replaceTrack(t)}mute(){this.#s.hold()}hush(){this.#s.begin()}sendLossy(t){return this.#e?.readyState!=="open"||this.#e.bufferedAmount>ht?!1:(this.#e.send(t),!0)}stats(){return this.#t.getStats()}close(){this.#t.close()}#n(t){let e=this.#t,s=0;e.addEventListener("connectionstatechange",()=>{clearTimeout(s);let n=e.connectionState;(n==="failed"||n==="closed")&&t(),n==="disconnected"&&(s=setTimeout(t,ct))})}#r(){let t=this.#t;return new Promise(e=>{let s=()=>t.iceGatheringState==="complete"&&e();t.addEventListener("icegatheringstatechange",s),s()})}#a(){let t=this.#t;return new Promise(e=>{let s=()=>t.connectionState==="connected"&&e();t.addEventListener("connectionstatechange",s),s()})}}});E();var c=class extends Error{constructor({status:t,code:e,message:s,retryAfter:n}){super(s),this.name="ApiError",this.status=t,this.code=e,this.retryAfter=n}},f=class extends Error{constructor(t){super("The server cannot be reached.",{cause:t}),this.name="NetworkError"}},K=3e4,Q=3e3,m=class{#t;constructor(t){this.#t=new URL(t)}address(t){return new URL(t,this.#t)}getInfo(){return this.request("GET","v1/info")}getVoices(){return this.request("GET","v1/voices")}getPortraits(){return this.request("GET","v1/portraits")}portraitImage(t){return this.address(`v1/portraits/${encodeURIComponent(t)}/image`).href}uploadBackground(t){let e=new FormData;return e.append("image",t,"background"),this.request("POST","v1/backgrounds",e)}createSession(t){return this.request("POST","v1/sessions",JSON.stringify(t))}resumeSession(t,e){return this.request("POST",`v1/sessions/${t}/resume`,JSON.stringify({token:e}),Q)}updateSession(t,e){return this.request("PATCH",`v1/sessions/${t}`,JSON.stringify(e))}sendOffer({session_id:t,token:e},s){let n={type:"offer",sdp:s,token:e};return this.request("POST",`v1/sessions/${t}/offer`,JSON.stringify(n))}async deleteSession(t){let e={method:"DELETE",keepalive:!0};await fetch(this.address(`v1/sessions/${t}`),e).catch(s=>{throw new f(s)})}async request(t,e,s,n=K){let r={method:t,signal:AbortSignal.timeout(n),cache:"no-store"};s!==void 0&&(r.body=s),typeof s=="string"&&(r.headers={"Content-Type":"application/json"});let o;try{o=await fetch(this.address(e),r)}catch(a){throw new f(a)}if(!o.ok)throw await Z(o);return o.status===204?null:o.json()}};async function Z(i){let t=Number.parseFloat(i.headers.get("Retry-After")??""),e=Number.isFinite(t)?t:null,s=await i.json().catch(()=>null),n=String(s?.error?.code??"refused"),r=String(s?.error?.message??`The server answered ${i.status}.`);return new c({status:i.status,code:n,message:r,retryAfter:e})}var tt={no_face:"Choose a picture in which the whole face can be seen.",face_too_small:"Choose a picture in which the face is larger, or move the frame close to it.",face_turned:"Choose a picture that looks towards the viewer.",mouth_covered:"Choose a picture with nothing in front of the mouth.",image_unreadable:"JPEG, PNG and WebP pictures work.",image_too_large:"Choose a smaller picture."};function v(i){return i instanceof c?et(i.code,i.message):i instanceof f?navigator.onLine?"The server cannot be reached.":"This device is offline.":"Something unexpected went wrong. Reloading the page may help."}function et(i,t){let e=tt[i];return e===void 0?t:`${t} ${e}`}function G(i,t){let e=i===1?"You are next":`Number ${i} in line`,s="Others are with the portrait just now.";return{title:e,message:t===null?s:`${s} Your turn comes in ${st(t)}.`}}function st(i){if(i<45)return`about ${i} seconds`;let t=Math.round(i/60);return t===1?"about a minute":`about ${t} minutes`}var ut=15e3,dt={client:"The session was ended.",idle:"The portrait went to rest after a while without anyone speaking.",time:"The longest time for one visit is over.",lost:"The connection was lost for too long.",shutdown:"The server is restarting.",failed:"The session broke off on the server."},S=class{#t;#s=null;#i=null;#e=null;#n=null;#r=null;#a=null;#d="puppet";#h=!1;#l=()=>{};#u;#o;constructor(t,e={}){this.#t=t,this.#u=e,this.#o=e.server??new m(document.baseURI)}get roundTrip(){return this.#n?.roundTrip??null}get session(){return this.#s===null?null:this.#i}async stats(){return await this.#r?.stats()??null}start(){this.#h||(this.#h=!0,this.#p())}stop(){this.#h=!1,this.#l(),this.#s??=this.#e?.session_id??null,this.#e=null,this.#b()}retry(){this.#l()}send(t){return this.#n?.send(t)??!1}interrupt(){this.send({type:"interrupt"})&&this.#r?.mute()}sendLossy(t){return this.#r?.sendLossy(JSON.stringify(t))??!1}async update(t){this.#s!==null&&await this.#o.updateSession(this.#s,t)}async request(t,e,s,n){if(this.#s===null){let o="There is no connection to the portrait just now.";throw new c({status:0,code:"not_connected",message:o,retryAfter:null})}let r=s===void 0||s instanceof FormData?s:JSON.stringify(s);return this.#o.request(t,`v1/sessions/${this.#s}/${e}`,r,n)}async setMicrophone(t){this.#a=t,await this.#r?.setMicrophone(t),this.#c()}useMicrophone(t){this.#d=t,this.#a!==null&&this.#c()}#c(){this.send({type:"microphone",mode:this.#a===null?"off":this.#d})}async#p(){let t=0,e=()=>{t=0};for(;this.#h;){this.#t.onPhase({name:"connecting"});let s=await this.#v(e).catch(n=>pt(n));if(await this.#b(),!this.#h)return;t+=1,await this.#T(s,t)}}async#v(t){let[e,{Events:s},{Peer:n}]=await Promise.all([this.#t.prepare(),Promise.resolve().then(()=>(q(),D)),Promise.resolve().then(()=>(H(),B))]),r=await this.#f(e);if(this.#s=r.session_id,this.#i=r,!this.#h)return O("client","");let o=()=>{},a=new Promise(l=>o=l),d=new s(this.#o.address(`v1/sessions/${r.session_id}/events`),l=>{l.type==="session.ready"&&o(),l.type==="session.queued"&&this.#w(l.position,l.wait_s),l.type==="agent.speak_ended"&&l.interrupted&&this.#r?.hush(),this.#t.onMessage(l)});if(this.#n=d,r.position!==void 0){if(this.#w(r.position,r.wait_s??null),!await Promise.race([a.then(()=>!0),d.ended.then(()=>!1)]))return this.#m(r,await d.ended);this.#t.onPhase({name:"connecting"})}let u=new n(r.ice_servers,this.#u);this.#r=u;let I=Promise.race([d.ended,u.ended.then(()=>null)]),V=this.#y(d,u,r).then(()=>!0);return await Promise.race([V,I.then(()=>!1),p(ut).then(()=>!1)])?(t(),this.#t.onPhase({name:"live",stream:u.stream}),this.#m(r,await I)):O(null,"The picture did not arrive. A firewall may be in the way.")}async#f(t){let{join:e}=this.#u;if(e!==void 0){let{ice_servers:n}=await this.#o.getInfo();return{session_id:e,ice_servers:n}}let s=this.#e;if(s?.token!==void 0)try{return await this.#o.resumeSession(s.session_id,s.token)}catch(n){if(!(n instanceof c))throw n;this.#e=null}return this.#o.createSession(t)}#m(t,e){return this.#s=null,this.#e=e===null?t:null,O(e,"The connection was lost.")}#w(t,e){t>0&&this.#t.onPhase({name:"queued",position:t,seconds:e})}async#y(t,e,s){await Promise.all([t.opened,e.open(n=>this.#o.sendOffer(s,n))]),this.#a!==null&&await this.setMicrophone(this.#a)}async#T(t,e){let s=new Promise(a=>{this.#l=a});if(t.untilAsked){this.#t.onPhase({name:"closed",message:t.message}),await s;return}let n=$(e,{retryAfter:t.retryAfter}),{message:r,code:o}=t;this.#t.onPhase({name:"waiting",message:r,code:o,seconds:n}),await Promise.race([s,p(n*1e3)])}async#b(){let t=this.#s;this.#n?.close(),this.#r?.close(),this.#n=this.#r=this.#s=null,t!==this.#u.join&&t!==null&&await this.#o.deleteSession(t).catch(()=>{})}};function O(i,t){return{message:i===null?t:dt[i],code:i,retryAfter:null,untilAsked:i==="idle"||i==="client"||i==="time"}}function pt(i){let t=i instanceof c?i:null;return{message:v(i),code:t?.code??null,retryAfter:t?.retryAfter??null,untilAsked:!1}}var k=class extends HTMLElement{get sessionUrl(){return this.getAttribute("session-url")??""}set sessionUrl(t){this.setAttribute("session-url",t)}get mode(){let t=this.getAttribute("mode");return t==="converse"||t==="puppet"?t:"present"}set mode(t){this.setAttribute("mode",t)}get portrait(){return this.getAttribute("portrait")??""}set portrait(t){this.setAttribute("portrait",t)}get voice(){return this.getAttribute("voice")??""}set voice(t){this.setAttribute("voice",t)}get background(){return this.getAttribute("background")??""}set background(t){this.setAttribute("background",t)}get muted(){return this.hasAttribute("muted")}set muted(t){this.toggleAttribute("muted",t)}get captions(){return this.hasAttribute("captions")}set captions(t){this.toggleAttribute("captions",t)}get autoplay(){return this.hasAttribute("autoplay")}set autoplay(t){this.toggleAttribute("autoplay",t)}};var ft=/^(.*\/)(?:v1\/sessions|view)\/([^/]+)\/?$/;function C(i,t){let e=new URL(i??"",t),[,s,n]=ft.exec(e.pathname)??[];return e.search=e.hash="",s!==void 0&&n!==void 0?(e.pathname=s,{base:e,session:decodeURIComponent(n)}):(e.pathname.endsWith("/")||(e.pathname+="/"),{base:e,session:null})}var A=class{#t;#s=null;#i="";#e=0;constructor(t){this.#t=t}add(t,e){let[s="",...n]=gt(e),r=t===this.#s?this.#i:"",o=mt(r,s);this.#s=t,this.#r(o.length<=84?o:s),this.#n(s,n)}end({isInterrupted:t=!1}={}){clearTimeout(this.#e),t?this.clear():this.#e=setTimeout(()=>this.clear(),2500)}clear(){clearTimeout(this.#e),this.#s=null,this.#r("")}#n(t,[e,...s]){if(clearTimeout(this.#e),e===void 0)return;let n=()=>{this.#r(e),this.#n(e,s)};this.#e=setTimeout(n,t.length/17*1e3)}#r(t){this.#i=t,this.#t(t)}};function mt(i,t){let e=/[\p{L}\p{N}\p{P}]$/u.test(i)&&/^[\p{L}\p{N}\p{P}]/u.test(t),s=/^[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u.test(t);return e&&!s?`${i} ${t}`:i+t}function gt(i){let t=i.trim().split(/\s+/),e=Math.ceil(i.trim().length/84),s=Math.max(i.trim().length/e,1),n=[];for(let r of t){let o=n.at(-1),a=`${o} ${r}`;o!==void 0&&o.length<s&&a.length<=84?n[n.length-1]=a:n.push(r)}return n}var vt=new Float32Array([-1,-1,1,-1,-1,1,1,1]),wt=`
  attribute vec2 corner;
  varying vec2 place; // 0..1 from the top left of the picture
  void main() {
    place = vec2(0.5 + 0.5 * corner.x, 0.5 - 0.5 * corner.y);
    gl_Position = vec4(corner, 0.0, 1.0);
  }`,yt=`
  #ifdef GL_FRAGMENT_PRECISION_HIGH
  precision highp float;
  #else
  precision mediump float;
  #endif
  uniform sampler2D frame;
  uniform float row; // one row of the packed picture, 0..1
  varying vec2 place;
  void main() {
    // half a row inside, so that neither half bleeds into the other
    float y = clamp(0.5 * place.y, 0.5 * row, 0.5 - 0.5 * row);
    vec3 colour = texture2D(frame, vec2(place.x, y)).rgb;
    float matte = texture2D(frame, vec2(place.x, y + 0.5)).g;
    float share = clamp((matte - 0.03) / 0.94, 0.0, 1.0);
    gl_FragColor = vec4(share * colour, share);
  }`,x=class{onLayout=()=>{};onUnable=()=>{};#t;#s;#i=null;#e=null;constructor(t,e){this.#t=t,this.#s=e,e.addEventListener("webglcontextlost",n=>{n.preventDefault(),this.#i=null});let s=()=>t.requestVideoFrameCallback(()=>{this.#n(),s()});s()}#n(){let{videoWidth:t,videoHeight:e}=this.#t,s=e===2*t?"packed":"plain",n=s!==this.#e;this.#e=s,s==="packed"&&(this.#i??=bt(this.#s),this.#i?.(this.#t),n&&this.#i===null&&this.onUnable()),n&&this.onLayout(s)}};function bt(i){let t=i.getContext("webgl",{alpha:!0,antialias:!1,depth:!1}),e=t?.createProgram();if(!t||!e||t.isContextLost())return null;for(let[r,o]of[[t.VERTEX_SHADER,wt],[t.FRAGMENT_SHADER,yt]]){let a=t.createShader(r);if(!a)return null;t.shaderSource(a,o),t.compileShader(a),t.attachShader(e,a)}if(t.linkProgram(e),!t.getProgramParameter(e,t.LINK_STATUS))return null;t.useProgram(e),t.bindBuffer(t.ARRAY_BUFFER,t.createBuffer()),t.bufferData(t.ARRAY_BUFFER,vt,t.STATIC_DRAW);let s=t.getAttribLocation(e,"corner");t.enableVertexAttribArray(s),t.vertexAttribPointer(s,2,t.FLOAT,!1,0,0),t.bindTexture(t.TEXTURE_2D,t.createTexture());for(let r of[t.TEXTURE_WRAP_S,t.TEXTURE_WRAP_T])t.texParameteri(t.TEXTURE_2D,r,t.CLAMP_TO_EDGE);t.texParameteri(t.TEXTURE_2D,t.TEXTURE_MIN_FILTER,t.LINEAR);let n=t.getUniformLocation(e,"row");return r=>{let{videoWidth:o,videoHeight:a}=r;i.width!==o&&(i.width=i.height=o),t.viewport(0,0,o,o),t.uniform1f(n,1/a),t.texImage2D(t.TEXTURE_2D,0,t.RGB,t.RGB,t.UNSIGNED_BYTE,r),t.drawArrays(t.TRIANGLE_STRIP,0,4)}}function h(i,t={},...e){let s=Object.assign(document.createElement(i),t);return s.append(...e),s}function w(i,t){i.textContent!==t&&(i.textContent=t)}var W=`
:host {
  display: inline-block;
  position: relative;
  overflow: hidden;
  box-sizing: border-box;
  inline-size: var(--vivant-size, min(100%, 32rem));
  aspect-ratio: 1;
  border-radius: var(--vivant-radius, 0);
  background: var(--vivant-background, #171310);
  color: var(--vivant-ink, #f3ecdf);
  font: var(--vivant-font, 1rem/1.4 system-ui, sans-serif);
  text-align: center;
}

:host([background="transparent"]) {
  background: var(--vivant-background, transparent);
}

:host([hidden]),
[hidden] {
  display: none !important;
}

.picture {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  object-fit: var(--vivant-fit, cover);
}

.picture.away {
  visibility: hidden;
}

.captions {
  position: absolute;
  inset-inline: 6%;
  inset-block-end: 5%;
  margin: 0 auto;
  inline-size: fit-content;
  padding: 0.25em 0.6em;
  border-radius: 0.3em;
  background: var(--vivant-caption-background, rgb(13 11 9 / 78%));
  color: var(--vivant-caption-ink, #fff);
  text-wrap: balance;
  overflow-wrap: anywhere;
}

.start {
  position: absolute;
  inset: 0;
  inline-size: 100%;
  block-size: 100%;
  display: grid;
  place-content: end center; /* below the face */
  justify-items: center;
  gap: 0.6em;
  border: 0;
  padding: 0 0 9%;
  background: linear-gradient(transparent 40%, rgb(13 11 9 / 55%));
  color: #fff;
  font: inherit;
  cursor: pointer;
}

.disc {
  display: grid;
  place-content: center;
  inline-size: 4em;
  block-size: 4em;
  border-radius: 50%;
  background: var(--vivant-accent, #d9b97c);
  color: var(--vivant-on-accent, #1a140b);
  box-shadow: 0 0.3em 1.2em rgb(0 0 0 / 45%);
  transition: transform 0.15s;
}

.start:hover .disc {
  transform: scale(1.06);
}

.disc::before {
  content: "";
  border-block: 0.75em solid transparent;
  border-inline-start: 1.2em solid currentcolor;
  margin-inline-start: 0.3em;
}

.words {
  padding: 0.15em 0.7em;
  border-radius: 0.3em;
  background: rgb(13 11 9 / 72%);
}

.notice {
  position: absolute;
  inset: 0;
  display: grid;
  place-content: center;
  justify-items: center;
  gap: 0.75em;
  padding: 8%;
  background: rgb(13 11 9 / 72%);
  color: #fff;
}

.notice p {
  margin: 0;
}

.retry {
  min-block-size: 2.75em;
  padding: 0 1.2em;
  border: 1px solid currentcolor;
  border-radius: 0.4em;
  background: none;
  color: inherit;
  font: inherit;
  cursor: pointer;
}

:focus-visible {
  outline: 3px solid var(--vivant-accent, #d9b97c);
  outline-offset: -5px;
}

@media (prefers-reduced-motion: reduce) {
  .disc {
    transition: none;
  }
}
`;var z=null,_=class{onStart=()=>{};onRetry=()=>{};onUnable=()=>{};captions=new A(t=>this.#m(t));#t=h("img",{className:"picture",alt:"",hidden:!0});#s=h("video",{className:"picture away",playsInline:!0});#i=h("canvas",{className:"picture away"});#e=h("p",{className:"captions",hidden:!0});#n=h("button",{className:"start",type:"button"});#r=h("slot",{name:"start"},"Start");#a=h("slot",{name:"sound"},"Start with sound");#d=h("p");#h=h("p");#l=h("button",{className:"retry",type:"button"});#u=h("div",{className:"notice",hidden:!0},this.#d,this.#h,this.#l);#o="plain";#c=!1;#p=!0;#v=!1;constructor(t){z??=Et(),t.adoptedStyleSheets=[z];let e=h("span",{className:"disc"});e.setAttribute("aria-hidden","true");let s=h("span",{className:"words"},this.#r,this.#a);this.#n.append(e,s),this.#d.setAttribute("role","status"),g(this.#t,"picture still"),g(this.#s,"picture video"),g(this.#i,"picture canvas"),g(this.#e,"captions"),g(this.#n,"start"),g(this.#u,"notice"),g(this.#l,"retry"),t.append(this.#t,this.#s,this.#i,this.#e,this.#u,this.#n),this.#n.addEventListener("click",()=>this.onStart()),this.#l.addEventListener("click",()=>this.onRetry()),this.#t.addEventListener("load",()=>this.#t.hidden=!1);let n=new x(this.#s,this.#i);n.onLayout=r=>{this.#o=r,this.#f()},n.onUnable=()=>this.onUnable()}showStill(t){this.#t.src!==t&&(this.#t.src=t)}describe(t){this.#s.setAttribute("aria-label",t),this.#i.setAttribute("aria-label",t),this.#i.setAttribute("role","img")}offerStart(){this.#r.hidden=!1,this.#a.hidden=!0,this.#n.hidden=!1}withdrawStart(){this.#n.hidden=!0}play(t){this.#u.hidden=!0,this.#s.srcObject=t,this.#s.requestVideoFrameCallback(()=>{this.#c=!0,this.#f()}),this.listen()}async listen(){let t=this.#s;if(t.srcObject!==null){this.#n.hidden=!0,t.muted=!this.#p;try{await t.play()}catch(e){if(!(e instanceof DOMException&&e.name==="NotAllowedError"))return;this.#r.hidden=!0,this.#a.hidden=!1,this.#n.hidden=!1,t.muted=!0,await t.play()}}}clear(){this.#c=!1,this.#s.srcObject=null,this.#f(),this.captions.clear()}mute(t){this.#p=!t,t?this.#s.muted=!0:this.#c&&this.listen()}caption(t){this.#v=t,this.#e.hidden=!t||this.#e.textContent===""}notify(t){this.#u.hidden=t===null,t!==null&&(w(this.#d,t.title??t.message),w(this.#h,t.title===void 0?"":t.message),this.#l.hidden=t.action===void 0,w(this.#l,t.action??""))}#f(){let t=this.#o==="packed";this.#i.classList.toggle("away",!this.#c||!t),this.#s.classList.toggle("away",!this.#c||t),this.#t.classList.toggle("away",this.#c)}#m(t){w(this.#e,t.trim()),this.#e.hidden=!this.#v||t.trim()===""}};function g(i,t){i.setAttribute("part",t)}function Et(){let i=new CSSStyleSheet;return i.replaceSync(W),i}var Y={"session.queued":"vivant-queued","session.ready":"vivant-ready","session.state_updated":"vivant-state","session.expiring":"vivant-expiring","session.closed":"vivant-closed","agent.speak_started":"vivant-speak-started","agent.speak_ended":"vivant-speak-ended","agent.reply.delta":"vivant-reply","subtitle.delta":"vivant-caption","user.transcript":"vivant-transcript","user.speech_started":"vivant-user-speech-started","user.speech_stopped":"vivant-user-speech-stopped","brain.tool_call":"vivant-tool-call","brain.failed":"vivant-error",warning:"vivant-warning",error:"vivant-error"};function J(i,t){if(!window.isSecureContext){let s=`${location.port?`:${location.port}`:""}`;return`The browser opens the ${t} only on secure pages. Open this page by https, or as http://localhost${s} on the computer that runs it.`}switch(i instanceof DOMException?i.name:""){case"NotAllowedError":return`The ${t} is blocked for this page. Allow it in the address bar's site settings, then try again.`;case"NotFoundError":case"OverconstrainedError":return`No ${t} was found. Connect one, then try again.`;case"NotReadableError":case"AbortError":return`The ${t} is in use by another program. Close that program, then try again.`;default:return`The ${t} did not open. Check that it works in another program, then try again.`}}var L=class{onLost=()=>{};#t=null;get isOpen(){return this.#t!==null}async open(){this.close();let t;try{t=await navigator.mediaDevices.getUserMedia({audio:{echoCancellation:!0,noiseSuppression:!0,autoGainControl:!0,channelCount:1}})}catch(s){let n=J(s,"microphone");throw new c({status:0,code:"microphone",message:n,retryAfter:null})}let[e]=t.getAudioTracks();if(e===void 0)throw new Error("getUserMedia gave no sound");return e.addEventListener("ended",()=>this.onLost()),this.#t=t,e}close(){for(let t of this.#t?.getTracks()??[])t.stop();this.#t=null}};var Tt=new URL("..",import.meta.url).href,P=class extends k{static observedAttributes=["session-url","mode","portrait","voice","background","muted","captions"];#t=new _(this.attachShadow({mode:"open"}));#s=this.attachInternals();#i=new L;#e=null;#n="idle";#r="idle";#a=!1;#d=[];#h=()=>this.#e?.stop();#l=t=>{t.persisted&&this.#e!==null&&this.#m()};#u=()=>this.#e?.retry();constructor(){super(),this.#t.onStart=()=>{this.#p()},this.#t.onRetry=()=>this.#e?.retry(),this.#t.onUnable=()=>this.#g("vivant-warning",{type:"warning",code:"no_webgl",message:"This browser has no WebGL, so the background cannot be transparent."}),this.#i.onLost=()=>{this.stopMicrophone()}}connectedCallback(){addEventListener("pagehide",this.#h),addEventListener("pageshow",this.#l),addEventListener("online",this.#u),this.#e===null&&(this.#E("idle"),this.#y(),this.autoplay?this.#p():this.#t.offerStart())}disconnectedCallback(){removeEventListener("pagehide",this.#h),removeEventListener("pageshow",this.#l),removeEventListener("online",this.#u),queueMicrotask(()=>{this.isConnected||this.close()})}attributeChangedCallback(t,e,s){e!==s&&(t==="muted"?this.#t.mute(s!==null):t==="captions"?this.#t.caption(s!==null):this.#e===null?this.#y():t==="session-url"?this.#m():t==="mode"?this.#k(this.#P(e)):s!==null&&this.#k(this.#e.update({[t]:s})))}get phase(){return this.#n}get state(){return this.#r}get sessionId(){return this.#e?.session?.session_id??null}get microphone(){return this.#i.isOpen}async start(){if(!this.isConnected)throw y("not_connected","The avatar is not in the page.");if(this.#n==="live")return;let t=new Promise((e,s)=>this.#d.push({resolve:e,reject:s}));this.#e===null?this.#v():this.#e.retry(),await t}close(){let t=this.#e;if(this.#e=null,t===null)return;t.stop(),this.#i.close(),this.#t.clear(),this.#t.notify(null),this.#t.offerStart(),this.#E("idle"),this.#A("idle");let e=this.#d.splice(0);for(let{reject:s}of e)s(y("closed","The avatar was closed."))}async speak(t,e={}){let s=await this.#c();if(typeof t=="string"){let{utterance:n}=await s.request("POST","speak",{text:t,...e});return n}this.#S({type:"speak.start",...e});for await(let n of t)n!==""&&this.#S({type:"speak.delta",text:n});this.#S({type:"speak.end"})}async say(t){let e=await this.#c(),{turn:s}=await e.request("POST","say",{text:t});return s}interrupt(){this.#e?.interrupt()}async gesture(t,e={}){return(await(await this.#c()).request("POST","gesture",{name:t,...e})).media_time}async update(t){await(await this.#c()).update(t)}motion(t,e={}){return this.#e?.sendLossy({type:"motion",coefficients:t,...e})??!1}send(t){return this.#e?.send(t)??!1}async startMicrophone(){let t=await this.#c(),e=await this.#i.open();t.useMicrophone(this.#o),await t.setMicrophone(e)}async stopMicrophone(){this.#i.close(),await this.#e?.setMicrophone(null)}get#o(){return this.mode==="converse"?"listen":"puppet"}async#c(){if(await this.start(),this.#e===null)throw y("closed","The avatar was closed.");return this.#e}async#p(){this.#n==="live"?await this.#t.listen():await this.start().catch(()=>{})}#v(){let t;try{t=C(this.getAttribute("session-url"),this.#f())}catch{this.#R("bad_request",`session-url is no address: '${this.sessionUrl}'.`);return}let e=new m(t.base),s=t.session;this.#t.withdrawStart();let n=new S({prepare:async()=>s===null?this.#w():{},onPhase:r=>this.#e===n&&this.#b(r),onMessage:r=>this.#e===n&&this.#L(r)},{server:e,channel:!0,...s!==null&&{join:s}});this.#e=n,n.start()}#f(){return this.hasAttribute("session-url")?document.baseURI:Tt}#m(){this.close(),this.#p()}#w(){let{portrait:t,voice:e,background:s,mode:n}=this;return{...t&&{portrait:t},...e&&{voice:e},...s&&{background:s},...n==="converse"&&{mode:n}}}#y(){this.#a||!this.isConnected||(this.#a=!0,queueMicrotask(()=>{this.#a=!1,this.#T()}))}async#T(){try{let{base:t,session:e}=C(this.getAttribute("session-url"),this.#f()),s=new m(t),r=(e===null?this.portrait:(await s.request("GET",`v1/sessions/${e}`)).portrait)||(await s.getInfo()).default_portrait;this.#t.showStill(s.portraitImage(r))}catch(t){this.#e===null&&this.#t.notify({message:v(t)})}}#b(t){if(t.name==="live"){this.#t.play(t.stream),this.#E("live"),this.#e?.useMicrophone(this.#o),this.#e?.session?.token===void 0&&this.#_();for(let{resolve:n}of this.#d.splice(0))n();return}this.#t.clear(),this.#A("idle"),t.name==="queued"&&this.#t.notify(G(t.position,t.seconds)),t.name==="waiting"&&this.#t.notify({message:t.message,action:"Try now"}),t.name==="closed"&&this.#t.notify({message:t.message,action:"Start again"}),t.name==="connecting"&&this.#n==="idle"&&this.#t.notify(null);let{name:e,...s}=t;this.#E(e,s),t.name==="waiting"&&this.#g("vivant-error",{type:"error",code:t.code??"not_connected",message:t.message})}#_(){let{mode:t,...e}=this.#w();Object.keys(e).length>0&&this.#k(this.#e?.update(e))}#L(t){switch(t.type){case"session.ready":this.#t.describe(`${t.portrait}, live`);break;case"session.state_updated":this.#A(t.state);break;case"agent.speak_ended":this.#t.captions.end({isInterrupted:t.interrupted});break;case"subtitle.delta":this.#t.captions.add(t.utterance,t.text);break}let e=Y[t.type];e!==void 0&&this.#g(e,t),this.#g("vivant-message",t)}async#P(t){this.#e?.useMicrophone(this.#o);let e=t==="converse",s=this.mode==="converse";e===s||this.sessionId===null||await this.#e?.request("PUT","brain",s?{}:{brain:"off"})}#S(t){if(!this.send(t))throw y("not_connected","The connection was lost while speaking.")}async#k(t){try{await t}catch(e){let s=e instanceof c?e.code:"not_connected";this.#g("vivant-error",{type:"error",code:s,message:v(e)})}}#R(t,e){this.#t.notify({message:e}),this.#g("vivant-error",{type:"error",code:t,message:e});for(let{reject:s}of this.#d.splice(0))s(y(t,e))}#E(t,e={}){this.#x(this.#n,t),this.#n=t,this.#g("vivant-phase",{type:"phase",phase:t,...e})}#A(t){this.#x(this.#r,t),this.#r=t}#x(t,e){this.#s.states.delete(t),e!=="idle"&&this.#s.states.add(e)}#g(t,e){this.dispatchEvent(new CustomEvent(t,{detail:e,bubbles:!0,composed:!0}))}};function y(i,t){return new c({status:0,code:i,message:t,retryAfter:null})}var St=P;customElements.get("vivant-avatar")||customElements.define("vivant-avatar",St);export{c as ApiError,f as NetworkError,P as VivantAvatar};
